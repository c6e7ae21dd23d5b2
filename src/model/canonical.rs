//! Values with exactly one form in bytes: JSON for files that are sealed or sign for something, and length-prefixed fields for digests.
//! It must never accept a second form of the same value.

use base64ct::{Base64, Encoding as _};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::error::Category;

use super::text;

/// Bytes, in base64 on disk. What they are is nobody's business in a log.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bytes({})", self.0.len())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Base64::encode_string(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Base64::decode_vec(&text).map(Self).map_err(|_| D::Error::custom("expected base64"))
    }
}

/// Why a file has not the format asked for; safe to print.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

/// The format of a file.
pub trait Format: Serialize + DeserializeOwned {
    /// What the types alone do not say.
    ///
    /// # Errors
    /// Which field is wrong.
    fn check(&self) -> Result<(), &'static str>;

    /// The one form in bytes, as it is written to a file.
    ///
    /// # Errors
    /// The value cannot be said in JSON: there is nothing to write in its place.
    fn written(&self) -> Result<Vec<u8>, Malformed> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|why| Malformed(why.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The same for comparing: no bytes where there is no form.
    #[must_use]
    fn to_bytes(&self) -> Vec<u8> {
        self.written().unwrap_or_default()
    }

    /// Reads it back: nothing unknown, nothing missing, nothing twice, nothing after the end, no other form of the same value.
    ///
    /// # Errors
    /// What is wrong.
    fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let value: Self = serde_json::from_slice(bytes).map_err(|why| Malformed(unreadable(&why, bytes.len())))?;
        value.check().map_err(|why| Malformed(why.to_owned()))?;
        if value.to_bytes() == bytes { Ok(value) } else { Err(Malformed("it is not written as omens writes it".to_owned())) }
    }
}

/// What is wrong with a JSON file of ours of this many bytes.
#[must_use]
pub fn unreadable(why: &serde_json::Error, length: usize) -> String {
    match why.classify() {
        Category::Eof => format!("it ends early, after {length} bytes"),
        Category::Syntax | Category::Io => format!("it is no JSON from line {} column {} on", why.line(), why.column()),
        Category::Data => format!("it is JSON of another shape: {}", text::one_line(&in_plain_words(&why.to_string()), 200)),
    }
}

/// What the reader says without the names of its types.
fn in_plain_words(said: &str) -> String {
    match said.split_once(", expected struct ") {
        Some((found, _)) => format!("expected an object, found {}", found.trim_start_matches("invalid type: ")),
        None => said.to_owned(),
    }
}

/// Fields one after the other, each behind its length in four bytes: no two lists of fields are the same bytes.
#[derive(Default)]
pub(super) struct Fields(pub(super) Vec<u8>);

impl Fields {
    pub(super) fn new(label: &[u8]) -> Self {
        let mut fields = Self::default();
        fields.add(label);
        fields
    }

    pub(super) fn add(&mut self, field: &[u8]) {
        // No field of ours comes near 4 GiB; a saturated length would still differ from every real one.
        self.0.extend_from_slice(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.0.extend_from_slice(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_another_shape_is_said_without_the_names_of_types() {
        let said = |text: &str| unreadable(&serde_json::from_str::<Pair>(text).unwrap_err(), text.len());
        assert_eq!(said("null"), "it is JSON of another shape: expected an object, found null");
        assert!(said("{\"a\":1}").starts_with("it is JSON of another shape: missing field `b`"));
        assert!(said("{").starts_with("it ends early"));
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Pair {
        a: u32,
        b: Bytes,
    }

    impl Format for Pair {
        fn check(&self) -> Result<(), &'static str> {
            if self.a < 10 { Ok(()) } else { Err("a: expected less than 10") }
        }
    }

    #[test]
    fn a_value_has_one_form() {
        let good = "{\n  \"a\": 1,\n  \"b\": \"AQI=\"\n}\n";
        let value = Pair { a: 1, b: Bytes(vec![1, 2]) };
        assert_eq!(String::from_utf8(value.to_bytes()).unwrap(), good);
        assert_eq!(Pair::parse(good.as_bytes()).unwrap(), value);
        let others = [
            ("compact", r#"{"a":1,"b":"AQI="}"#.to_owned()),
            ("no newline", good.trim_end().to_owned()),
            ("two newlines", format!("{good}\n")),
            ("trailing value", format!("{good}{good}")),
            ("unknown field", good.replace("\"a\"", "\"c\": 1,\n  \"a\"")),
            ("missing field", "{\n  \"a\": 1\n}\n".to_owned()),
            ("twice", good.replace("\"a\": 1,", "\"a\": 1,\n  \"a\": 1,")),
            ("other order", "{\n  \"b\": \"AQI=\",\n  \"a\": 1\n}\n".to_owned()),
            ("escape", good.replace("\"b\"", "\"\\u0062\"")),
            ("float", good.replace(": 1,", ": 1.0,")),
            ("base64 without padding", good.replace("AQI=", "AQI")),
            ("base64 with stray bits", good.replace("AQI=", "AQJ=")),
            ("base64url", good.replace("AQI=", "-_I=")),
            ("base64 with a newline", good.replace("AQI=", "AQ\\nI=")),
            ("against the check", good.replace(": 1,", ": 11,")),
        ];
        for (what, text) in others {
            assert!(Pair::parse(text.as_bytes()).is_err(), "{what}: {text}");
        }
    }

    #[test]
    fn no_two_lists_of_fields_are_the_same_bytes() {
        let of = |fields: &[&str]| {
            let mut all = Fields::default();
            fields.iter().for_each(|field| all.add(field.as_bytes()));
            all.0
        };
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["ab", ""]), of(&["ab"]));
        assert_eq!(of(&["ab"]), [0, 0, 0, 2, b'a', b'b']);
    }

    #[test]
    fn debug_shows_a_length_and_nothing_else() {
        assert_eq!(format!("{:?}", Bytes(vec![0xaa; 3])), "Bytes(3)");
    }
}
