//! The mailbox list: names, namespaces, ACLs, locations, LMDB tables, LIST.
