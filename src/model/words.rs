//! How closed sets of words are written down: the enum, its words and what each of them means come from one list, so that documents,
//! schemas and the reference cannot disagree.

/// Makes an enum whose variants are stable words for machines. The comment of a variant is what the reference says of it.
macro_rules! words {
    ($(#[$outer:meta])* pub enum $set:ident { $($(#[doc = $doc:literal])+ $name:ident = $word:literal,)+ }) => {
        $(#[$outer])*
        pub enum $set {
            $($(#[doc = $doc])+ #[serde(rename = $word)] $name,)+
        }

        impl $set {
            /// All of them, in their order.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The word in JSON and on the terminal.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

pub(crate) use words;
