"""Where our frontend and Cyrus' own differ: by script, the exact lines of both, and the key of the reason, which
`docs/protocols/against-cyrus.md` gives. What isn't here may not differ; what is here has to.
"""

from oracle import Difference as D

BAD_WORDS = [("Missing required argument to …", "Expected a space"),
             ("Unexpected extra arguments to …", "Extra arguments")]
MISSING, EXTRA = (D("words", [f"tag BAD {theirs}"], [f"tag BAD {ours}"]) for theirs, ours in BAD_WORDS)


def bad(theirs, ours, at=""):
    """The same refusal of the same mistake, in other words."""
    return D("words", [f"tag BAD {theirs}"], [f"tag BAD {ours}"], at)


def coded(code, text, theirs=None, why="codes"):
    """The same refusal, with a response code here."""
    return D(why, [f"tag NO {theirs or text}"], [f"tag NO [{code}] {text}"])


def referred(theirs):
    """An admin is sent to the backend."""
    return D("admin", [f"tag NO {theirs}"], [REFERRED])


NONEXISTENT = coded("NONEXISTENT", "Mailbox does not exist")
TRYCREATE = coded("TRYCREATE", "Mailbox does not exist")
EXISTS = coded("ALREADYEXISTS", "Mailbox already exists")
COST = D("cost", ["tag OK Completed (<t>)"], ["tag OK Completed"])
UNAVAILABLE = "Server(s) unavailable to complete operation"
CLOSED = "* OK [CLOSED] Previous mailbox is closed"
GONE = '* LIST (\\NonExistent \\Subscribed \\HasNoChildren) "." INBOX.Sent'
NOTHING = "tag BAD Missing required argument to Append"
UNKNOWN = "tag BAD Unrecognized command"
REMOTE = "tag NO [REFERRAL imap://{user};AUTH=*@…] Remote mailbox"
REFERRED = "tag NO [REFERRAL imap://cyrus;AUTH=*@…] Admin actions go directly to the backend: …"
OUR_ID = '* ID ("name" "Ravenry" "version" "…")'

DIFFERENCES = {
    "session": [
        MISSING, EXTRA,
        D("capability", ["* CAPABILITY IMAP4rev1 …"], ["* CAPABILITY IMAP4rev1 …"]),
        D("capability", ["tag OK [CAPABILITY IMAP4rev1 …] User logged in SESSIONID=<s>"],
          ["tag OK [CAPABILITY IMAP4rev1 …] User logged in SESSIONID=<s>"]),
        D("id", ['* ID ("name" "Cyrus IMAPD" …)'], [OUR_ID]),
        D("id-twice", ["tag OK NIL"], [OUR_ID, "tag OK Completed"]),
        D("id-twice", ["tag OK NIL"], ["tag BAD Expected a…"]),
        D("gate", ["tag BAD Please login first"], ["tag BAD Unrecognized command"], "NOSUCH"),
        D("gate", ["tag BAD Please select a mailbox first"], ["tag BAD Missing command after UID"]),
        D("gate", ["tag BAD Please select a mailbox first"], ["tag BAD Unrecognized command"], "UID NOSUCH"),
        bad("Unrecognized command", "No TLS here", "STARTTLS"),
        bad("Unrecognized command", "Can't STARTTLS after authentication", "STARTTLS"),
        bad("Already authenticated", "Already logged in"),
        bad("Client canceled authentication", "Authentication cancelled"),
        coded("AUTHENTICATIONFAILED", "Login failed: authentication failure"),
        coded("CANNOT", "No such mechanism here: use PLAIN or LOGIN", "no mechanism available"),
        D("sasl", ["tag NO bad protocol / cancel"], ["tag BAD Malformed SASL response"]),
    ],
    "select": [
        MISSING, EXTRA,
        bad("Invalid modifier list in Select", "Extra arguments"),
        D("closed", ["* OK [CLOSED] Ok", "tag NO Mailbox does not exist"],
          ["tag NO [NONEXISTENT] Mailbox does not exist"]),
        D("select-bad", ["* 1 FETCH (FLAGS ())", "* 2 FETCH (FLAGS (\\Flagged \\Seen))", "* 3 FETCH (FLAGS ())",
                         "* 4 FETCH (FLAGS ($Label))", "* 5 FETCH (FLAGS (\\Draft))", "tag OK Completed (<t>)"],
          ["tag BAD Please select a mailbox first"], "FETCH 1:* FLAGS"),
        coded("CANNOT", "Invalid mailbox name: the name is empty", "Mailbox does not exist"),
    ],
    "copy": [MISSING, TRYCREATE, bad("Invalid sequence in Copy", "Expected a sequence set")],
    "append": [
        MISSING, TRYCREATE,
        bad("Missing space after flag list in Append command", "Missing message literal"),
        coded("CANNOT", "Zero-length message literal"),
    ],
    "list": [
        MISSING, COST, NONEXISTENT,
        bad("Missing required argument to List: mailbox pattern", "Expected a space"),
        D("inbox-case", ["tag OK Completed (<t>)"], ['* LIST (\\HasChildren) "." INBOX', "tag OK Completed"],
          'LIST "" inbox'),
        D("lsub-parent", ['* LSUB (\\HasChildren) "." INBOX…'], ['* LSUB (\\Noselect \\HasChildren) "." INBOX…']),
        D("lsub-gone", ['* LSUB (\\Noselect) "." INBOX.Sent'], []),
        D("subscribe-extra", ["tag NO Mailbox does not exist"], ["tag BAD Extra arguments"], "SUBSCRIBE INBOX extra"),
        bad("Invalid Unsubscribe subcommand", "Extra arguments"),
        bad('Unexpected extra argument to List: "extra"', "Expected RETURN"),
    ],
    "status": [MISSING, NONEXISTENT, bad("Missing required argument to Status", "Extra arguments")],
    "changes": [
        MISSING, COST, NONEXISTENT, EXISTS,
        coded("CANNOT", "There is no parent mailbox, so no server to create it on: …",
              UNAVAILABLE, "no-parent"),
        D("create-inbox", [f"tag NO {UNAVAILABLE}"], ["tag NO [ALREADYEXISTS] Mailbox already exists"], "CREATE INBOX"),
        D("empty-part", ["tag OK [MAILBOXID (<id>)] Completed"],
          ["tag NO [CANNOT] Invalid mailbox name: the name has an empty component"], "CREATE INBOX..x"),
        D("empty-part", ['* LIST (\\HasNoChildren) "." INBOX.x'], []),
        D("empty-part", ['* LIST (\\HasNoChildren) "." INBOX.x', "tag OK Completed (<t>)"], ["tag OK Completed"]),
        coded("CANNOT", "Invalid mailbox name: the name is empty", UNAVAILABLE),
        D("rename-same", [f"tag NO {UNAVAILABLE}"], ["tag NO [ALREADYEXISTS] Mailbox already exists"],
          "RENAME INBOX.uno INBOX.uno"),
    ],
    "acl": [
        MISSING, EXTRA, NONEXISTENT,
        coded("NOPERM", "Permission denied"),
        D("listrights", ["* LISTRIGHTS user.{user}.open {other} \"\" l r s w i p k x t e c d a n 0 1 2 3 4 5 6 7 8 9",
                         "tag OK Completed"], ["tag NO [NOPERM] Permission denied"], until="3.6.1-4+deb12u5"),
    ],
    "idle": [EXTRA, bad("Invalid Idle continuation", "Invalid Idle continuation, DONE was expected")],
    "condstore": [D("enabled", ["* ENABLED CONDSTORE"], [])],
    "enable": [
        MISSING,
        D("enabled-none", [], ["* ENABLED"]),
        D("stray-line", ["closed: a response that nobody asked for: b'\\r\\n'"], ["tag BAD Expected an atom"]),
        D("enabled", ["* ENABLED CONDSTORE QRESYNC"], []),
        D("closed-server", ["* ENABLED CONDSTORE QRESYNC"], [CLOSED]),
        D("closed-server", [], [CLOSED]),
    ],
    "list_extended": [
        MISSING, COST,
        D("order", [GONE], []), D("order", ["tag OK Completed (<t>)"], [GONE, "tag OK Completed"]),
        D("childinfo", ['* LIST (\\HasChildren) "." INBOX (CHILDINFO ("SUBSCRIBED"))',
                        '* LIST (\\NonExistent \\HasChildren) "." user (CHILDINFO ("SUBSCRIBED"))'],
          ['* LIST (\\HasChildren) "." INBOX ("CHILDINFO" ("SUBSCRIBED"))',
           '* LIST (\\NonExistent \\HasChildren) "." user ("CHILDINFO" ("SUBSCRIBED"))']),
        D("status-stray", ["* BAD Invalid tag"], []),
        bad("Invalid combination of selection options", "Expected a selection option beside RECURSIVEMATCH"),
        bad("Invalid Status attributes nosuch", "The servers don't know what is asked for"),
        bad("Invalid syntax in List command", "Expected a mailbox pattern"),
        bad('Invalid List selection option "nosuch"', "Expected a selection option that is known"),
        bad('Invalid List return option "nosuch"', "Expected a return option that is known"),
        bad("Missing return argument list", "Expected a space"),
    ],
    "metadata": [
        MISSING, NONEXISTENT,
        D("metadata", [], ["* METADATA INBOX (…)"]),
        D("metadata", ["tag OK Completed"], ["tag OK [METADATA LONGENTRIES 4] Completed"]),
    ],
    "quota": [
        MISSING, EXTRA, NONEXISTENT,
        coded("NONEXISTENT", "Quota root does not exist", "Permission denied", "quota-own"),
        D("quota-stray", ["* BAD Invalid tag"], []),
        referred("Quota root does not exist"),
        D("admin", ["tag OK Completed"], [REFERRED]),
    ],
    "copy_across": [
        D("copyuid", ["tag OK [COPYUID <v> …] Completed"], ["tag OK [COPYUID <v> … …] Completed"], "COPY"),
        D("copy-nothing", [NOTHING], ["tag OK Completed"], "UID COPY 99"),
        D("copy-nothing", [NOTHING], ["tag NO No matching messages (<t>)"], "COPY 99"),
        *(D("move-across", [f"tag OK [COPYUID <v> {there}] Completed"], [
            f"* OK [COPYUID <v> {uid} {there}] Copied to the other server",
            f"* 3 FETCH (FLAGS ({flags}) UID {uid})", "* 3 EXPUNGE", "tag OK Completed"])
          for uid, there, flags in [(3, 4, "\\Recent \\Deleted"), (4, 5, "\\Recent \\Deleted $Label")]),
        D("move-across", ["* 3 FETCH (FLAGS (\\Recent) UID 3)", "* 4 FETCH (FLAGS (\\Recent $Label) UID 4)",
                          "* 5 FETCH (FLAGS (\\Recent \\Draft) UID 5)"], ["* 3 FETCH (FLAGS (\\Recent \\Draft) UID 5)"]),
        D("move-across", ["tag OK [COPYUID <v> 7] Completed"],
          ["tag NO [CANNOT] Messages can't be removed from a mailbox that is opened by EXAMINE"]),
    ],
    "modern": [
        MISSING,
        bad("Missing required argument to Append command", "UTF8 isn't enabled"),
        D("replace", [UNKNOWN], ["* 8 EXISTS", "* 1 RECENT", "* OK [APPENDUID <v> 8] Completed",
                                 "* 1 FETCH (FLAGS (\\Deleted) UID 1)", "* 1 EXPUNGE", "tag OK Completed"]),
        D("replace", ["tag BAD Unrecognized UID subcommand"],
          ["* 8 EXISTS", "* 2 RECENT", "* OK [APPENDUID <v> 9] Completed",
           "* 1 FETCH (FLAGS (\\Flagged \\Deleted \\Seen) UID 2)", "* 1 EXPUNGE", "tag OK Completed"]),
        D("replace", ["* 1 FETCH (FLAGS () UID 1 RFC822.SIZE 138)",
                      "* 2 FETCH (FLAGS (\\Flagged \\Seen) UID 2 RFC822.SIZE 138)",
                      "* 3 FETCH (FLAGS () UID 3 RFC822.SIZE 282)", "* 4 FETCH (FLAGS ($Label) UID 4 RFC822.SIZE 354)",
                      "* 5 FETCH (FLAGS (\\Draft) UID 5 RFC822.SIZE 858)", "* 6 FETCH (FLAGS () UID 6 RFC822.SIZE 142)",
                      "* 7 FETCH (FLAGS () UID 7 RFC822.SIZE 18)"],
          ["* 1 FETCH (FLAGS () UID 3 RFC822.SIZE 282)", "* 2 FETCH (FLAGS ($Label) UID 4 RFC822.SIZE 354)",
           "* 3 FETCH (FLAGS (\\Draft) UID 5 RFC822.SIZE 858)", "* 4 FETCH (FLAGS () UID 6 RFC822.SIZE 142)",
           "* 5 FETCH (FLAGS () UID 7 RFC822.SIZE 18)", "* 6 FETCH (FLAGS (\\Recent \\Seen) UID 8 RFC822.SIZE 138)",
           "* 7 FETCH (FLAGS (\\Recent) UID 9 RFC822.SIZE 282)"]),
        D("esearch", [UNKNOWN], ['* ESEARCH (TAG "t17" MAILBOX INBOX UIDVALIDITY <v>) UID ALL 8', "tag OK Completed"]),
        D("esearch", [UNKNOWN], ['* ESEARCH (TAG "t18" MAILBOX INBOX UIDVALIDITY <v>) UID COUNT 1', "tag OK Completed"]),
        D("unauthenticate", [UNKNOWN], ["tag OK [CAPABILITY …] Completed"], "UNAUTHENTICATE"),
        coded("CANNOT", "No such mechanism here: DEFLATE", "Unknown COMPRESS algorithm: NOSUCH"),
    ],
    "referrals": [
        MISSING, COST, NONEXISTENT,
        D("referral-url", ["tag NO [REFERRAL imap://;AUTH=*@…] Remote mailbox."],
          ["tag NO [REFERRAL imap://{user};AUTH=*@…] Remote mailbox"]),
        D("referral-more", ["* STATUS INBOX (MESSAGES 5)", "tag OK Completed"], [REMOTE]),
        D("referral-more", ["tag OK Completed"], [REMOTE], "SETACL"),
        D("referral-more", ["* ACL INBOX.a {user} lrswipkxtecdan {other} lr"],
          ["* ACL INBOX.a {user} lrswipkxtecdan"]),
        D("referral-more", ["* QUOTAROOT INBOX", "tag OK Completed"], [REMOTE]),
        D("referral-delete", ["tag NO [REFERRAL imap://;AUTH=*@backend1.murder.test/INBOX.c] Remote mailbox."],
          ["tag OK Completed"]),
    ],
    "admin": [
        referred("Permission denied"), referred(UNAVAILABLE),
        D("admin", ["tag OK [MAILBOXID (<id>)] Completed"], [REFERRED]),
        D("admin", ["tag OK Completed"], [REFERRED]),
        coded("CANNOT", "There is no parent mailbox, so no server to create it on: …", UNAVAILABLE, "no-parent"),
        D("xrename", [UNKNOWN], ["tag NO [ALREADYEXISTS] Mailbox already exists"]),
        D("admin", ["tag NO Permission denied"], ["tag NO [NONEXISTENT] Mailbox does not exist"]),
    ],
}
