//! Who writes in the demo, and what.

use super::Person;

/// What a conversation is about.
pub(super) struct Topic {
    pub(super) subject: &'static str,
    pub(super) opening: &'static str,
    pub(super) answers: &'static [&'static str],
}

pub(super) const PEOPLE: [Person; 9] = [
    Person {
        name: "Alice Raven",
        address: "alice@demo.test",
    },
    Person {
        name: "Bob Rook",
        address: "bob@demo.test",
    },
    Person {
        name: "Zoë Corvid",
        address: "zoe@corvid.example",
    },
    Person {
        name: "Jürgen Dohle",
        address: "dohle@turm.example",
    },
    Person {
        name: "Maria Jay",
        address: "maria.jay@oakwood.example",
    },
    Person {
        name: "Søren Krage",
        address: "krage@nord.example",
    },
    Person {
        name: "Tom Magpie",
        address: "tom@magpie.example",
    },
    Person {
        name: "Grace Chough",
        address: "grace@cliffs.example",
    },
    Person {
        name: "The Rookery Office",
        address: "office@rookery.example",
    },
];

/// The shared folders' addresses, by their last names.
pub(super) const LISTS: [Person; 2] = [
    Person {
        name: "Rookery, list one",
        address: "one@lists.demo.test",
    },
    Person {
        name: "Rookery, list two",
        address: "two@lists.demo.test",
    },
];

pub(super) const TOPICS: [Topic; 16] = [
    Topic {
        subject: "Lunch on Thursday?",
        opening: "Hello,\n\nthe new place behind the mill is open. Shall we try it on Thursday, half past twelve?\nThey have soup, I am told, and a table by the window.",
        answers: &[
            "Gladly. I'll be ten minutes late.",
            "Then I'll order for you. Soup?",
            "Soup. And the window.",
        ],
    },
    Topic {
        subject: "Disk space on backend1",
        opening: "The spool of backend1 is at 84 %. Half of it is one mailbox with pictures of nests.\nShall we move it to backend2, or ask its owner first?",
        answers: &[
            "Ask first. It's for the survey, he may need them all.",
            "He needs them. Moving it tonight, then.",
            "Moved. backend1 is at 61 %.",
        ],
    },
    Topic {
        subject: "Minutes of Monday",
        opening: "These are the minutes. Please tell me by Wednesday if something is missing.\n\n1. The roof: repaired before the winter.\n2. The count: in the first week of the month.\n3. Any other business: none.",
        answers: &[
            "Under 2. it was the second week.",
            "So it was. I have changed it.",
        ],
    },
    Topic {
        subject: "Überraschung für Jürgen",
        opening: "Jürgen wird am Freitag fünfzig. Wer bringt Kuchen, wer die Gläser?\nBitte nicht an alle antworten: er liest die Liste.",
        answers: &[
            "Ich bringe Kuchen. Käse oder Äpfel?",
            "Äpfel. Gläser habe ich.",
        ],
    },
    Topic {
        subject: "Weekend rota",
        opening: "Who is on call at the weekend? The rota says nobody, and the pager says it is me.",
        answers: &[
            "It's me. The rota is of last year.",
            "Then please take the pager, it's on my desk.",
            "Taken.",
        ],
    },
    Topic {
        subject: "Release notes, second draft",
        opening: "The second draft is in the repository. What I am unsure about: do we say that the old format is still read?\nIt is, until spring.",
        answers: &[
            "Say it. Who reads notes wants to know what breaks.",
            "Done, with the date.",
        ],
    },
    Topic {
        subject: "A crow that opens boxes",
        opening: "We have one here that opens lunch boxes. It waits until everybody is at the table, and it knows the kind with a clip.\nDoes yours do that, too?",
        answers: &[
            "Ours prefers zips.",
            "I have seen it wait for the lights of a crossing. Nothing surprises me.",
            "There is a paper about the clips. I'll look for it.",
            "Please do!",
        ],
    },
    Topic {
        subject: "Réunion de jeudi à Orléans",
        opening: "La réunion de jeudi est déplacée à vendredi, même heure, même salle.\nLe café est à côté, il est très bon.",
        answers: &["C'est noté. À vendredi !"],
    },
    Topic {
        subject: "Train tickets",
        opening: "I have booked the 7:42 for us both, coach 4. Back on Sunday at 18:10.\nIf it rains we walk from the station through the arcades.",
        answers: &[
            "Thank you! What do I owe you?",
            "Coffee, for two days.",
            "A bargain.",
        ],
    },
    Topic {
        subject: "Certificates run out in March",
        opening: "The certificates of the frontends run out on 3 March. Last time two of us renewed them at once.\nI'd do it this time, in February, unless somebody wants to.",
        answers: &[
            "Please do. And a line in the calendar, for the one after.",
            "It's in the calendar.",
        ],
    },
    Topic {
        subject: "The survey's questions",
        opening: "Twelve questions are too many. I'd leave out 4, 7 and 11: whoever counts birds at six in the morning won't answer them.\nWhat do you think?",
        answers: &[
            "7 we need. The others can go.",
            "Agreed: without 4 and 11.",
            "Sent to the printer.",
        ],
    },
    Topic {
        subject: "Lost: an umbrella",
        opening: "Black, with a wooden handle, in the meeting room or on the way there.",
        answers: &[
            "There are three in the office. One has a wooden handle.",
            "That's the one. Thank you!",
        ],
    },
    Topic {
        subject: "Mail for the list bounces",
        opening: "Since yesterday mail for the list comes back to me: \"no such mailbox\". Has it been renamed?",
        answers: &[
            "Renamed yesterday, and the address forgotten. It's right now.",
            "It works. Thank you for the quick answer.",
        ],
    },
    Topic {
        subject: "Blåbærpannekaker",
        opening: "Oppskriften: tre egg, fem desiliter melk, to desiliter mel, en håndfull blåbær.\nStek dem på middels varme.",
        answers: &["Takk! Det ble veldig godt."],
    },
    Topic {
        subject: "Night of the museums",
        opening: "The museum is open until midnight on Saturday, and the ravens are in the inner court. Who comes along?",
        answers: &[
            "I do, from nine.",
            "We do, all four of us.",
            "Then let's meet at the gate, a quarter past nine.",
        ],
    },
    Topic {
        subject: "Backup of the store",
        opening: "I have restored last night's backup on the spare machine: it opens, and the counts agree.\nIt took eleven minutes. That should go into the handbook.",
        answers: &[
            "Into the handbook it goes. From whose account?",
            "The operator's. It's a page, I'll write it.",
        ],
    },
];

pub(super) const NEWS: [&str; 9] = [
    "Rooks return to the old elms of Wells",
    "How jackdaws choose a partner for life",
    "A raven that counts to eight",
    "New members: forty-two since spring",
    "What to plant for jays: oaks",
    "The calendar of next year is out",
    "Letters: magpies and silver",
    "Choughs breed again on the south cliffs",
    "Workshop: building a nest box in an afternoon",
];
