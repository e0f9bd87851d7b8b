//! The names of IMAP's commands.

use std::fmt;

macro_rules! verbs {
    ($($variant:ident = $name:literal,)*) => {
        /// A command's name. Those of `UID` commands are the names behind it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Verb {
            $(#[doc = $name] $variant,)*
            /// None of the names known here.
            Unknown,
        }

        impl Verb {
            /// Every name that is known.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name as standards write it; empty for [`Self::Unknown`].
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Unknown => "",
                }
            }

            /// The command of this name in capitals.
            fn of(name: &[u8]) -> Self {
                $(
                    if name == $name.as_bytes() {
                        return Self::$variant;
                    }
                )*
                Self::Unknown
            }
        }
    };
}

verbs! {
    // RFC 3501, RFC 9051
    Capability = "CAPABILITY", Noop = "NOOP", Logout = "LOGOUT",
    StartTls = "STARTTLS", Authenticate = "AUTHENTICATE", Login = "LOGIN",
    Enable = "ENABLE", Select = "SELECT", Examine = "EXAMINE", Create = "CREATE",
    Delete = "DELETE", Rename = "RENAME", Subscribe = "SUBSCRIBE", Unsubscribe = "UNSUBSCRIBE",
    List = "LIST", Lsub = "LSUB", Namespace = "NAMESPACE", Status = "STATUS", Append = "APPEND",
    Idle = "IDLE", Check = "CHECK", Close = "CLOSE", Unselect = "UNSELECT", Expunge = "EXPUNGE",
    Search = "SEARCH", Fetch = "FETCH", Store = "STORE", Copy = "COPY", Move = "MOVE",
    // Extensions: RFC 2971, 4314, 9208, 5256, 5464, 2193, 4467, 4978, 5465, 8437, 8508, 5257, 7377,
    // 6237, 5267, 9394 and drafts
    Id = "ID",
    SetAcl = "SETACL", DeleteAcl = "DELETEACL", GetAcl = "GETACL", ListRights = "LISTRIGHTS",
    MyRights = "MYRIGHTS",
    GetQuota = "GETQUOTA", GetQuotaRoot = "GETQUOTAROOT", SetQuota = "SETQUOTA",
    Sort = "SORT", Thread = "THREAD", Esearch = "ESEARCH", CancelUpdate = "CANCELUPDATE",
    GetMetadata = "GETMETADATA", SetMetadata = "SETMETADATA",
    GetAnnotation = "GETANNOTATION", SetAnnotation = "SETANNOTATION",
    Rlist = "RLIST", Rlsub = "RLSUB",
    GenUrlAuth = "GENURLAUTH", ResetKey = "RESETKEY", UrlFetch = "URLFETCH",
    Compress = "COMPRESS", Notify = "NOTIFY", Unauthenticate = "UNAUTHENTICATE",
    Replace = "REPLACE", UidBatches = "UIDBATCHES", GetJmapAccess = "GETJMAPACCESS",
    // Cyrus
    Xlist = "XLIST", Xmove = "XMOVE", Xrename = "XRENAME", Xfer = "XFER",
    Scan = "SCAN", XconvSort = "XCONVSORT", XconvUpdates = "XCONVUPDATES", XconvMeta = "XCONVMETA",
    XconvFetch = "XCONVFETCH", XconvMultiSort = "XCONVMULTISORT", Xsnippets = "XSNIPPETS",
    Xbackup = "XBACKUP", Xapplepushservice = "XAPPLEPUSHSERVICE",
    XrunAnnotator = "XRUNANNOTATOR", Xwarmup = "XWARMUP", XkillMy = "XKILLMY", Xforever = "XFOREVER",
    Xmeid = "XMEID", Xstats = "XSTATS",
    Dump = "DUMP", Undump = "UNDUMP", Reconstruct = "RECONSTRUCT", MupdatePush = "MUPDATEPUSH",
    LocalAppend = "LOCALAPPEND", LocalCreate = "LOCALCREATE", LocalDelete = "LOCALDELETE",
    GetUserGroup = "GETUSERGROUP", SetUserGroup = "SETUSERGROUP", UnsetUserGroup = "UNSETUSERGROUP",
    SyncApply = "SYNCAPPLY", SyncGet = "SYNCGET", SyncRestart = "SYNCRESTART",
    SyncRestore = "SYNCRESTORE",
}

/// No name is longer.
const NAME_BYTES_MAX: usize = 20;

impl Verb {
    /// The command that `name` names, in any case.
    #[must_use]
    pub fn parse(name: &[u8]) -> Self {
        let mut capitals = [0; NAME_BYTES_MAX];
        let Some(capitals) = capitals.get_mut(..name.len()) else {
            return Self::Unknown;
        };
        capitals.copy_from_slice(name);
        capitals.make_ascii_uppercase();
        Self::of(capitals)
    }

    /// It exists with `UID` before it.
    #[must_use]
    pub fn has_uid_form(self) -> bool {
        matches!(
            self,
            Self::Copy
                | Self::Expunge
                | Self::Fetch
                | Self::Move
                | Self::Replace
                | Self::Search
                | Self::Sort
                | Self::Store
                | Self::Thread
                | Self::Xmove
        )
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case() {
        for verb in Verb::ALL {
            assert_eq!(Verb::parse(verb.name().as_bytes()), *verb);
            assert_eq!(Verb::parse(verb.name().to_lowercase().as_bytes()), *verb);
        }
        for name in [
            "",
            "BOGUS",
            "FETC",
            "FETCHX",
            "GET",
            "AN-UNREASONABLY-LONG-NAME",
        ] {
            assert_eq!(Verb::parse(name.as_bytes()), Verb::Unknown);
        }
    }
}
