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

/// Makes the enum of the codes, both directions of their spelling and their meanings from one list.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal,)*) => {
        /// What a failure, a warning or an error of the settings is about. Only ever added to ([the contract](crate::cli)).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)*
            /// A word of a newer version, in a file that it wrote.
            Unknown,
        }

        impl Code {
            /// All of them, without [`Code::Unknown`].
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word in JSON and on the terminal.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                    Self::Unknown => "unknown",
                }
            }

            /// What it is about, in a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),+).trim_ascii(),)*
                    Self::Unknown => "A word of another version.",
                }
            }

            /// The code of a word.
            #[must_use]
            pub fn parse(word: &str) -> Self {
                match word {
                    $($word => Self::$name,)*
                    _ => Self::Unknown,
                }
            }
        }

        impl std::fmt::Display for Code {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for Code {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for Code {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(Self::parse(&std::borrow::Cow::<'de, str>::deserialize(deserializer)?))
            }
        }
    };
}

pub(crate) use {codes, words};
