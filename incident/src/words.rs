//! Enums whose values are written as fixed words in JSON, in the database, on the command line and in messages.

/// Defines an enum of words: each variant is written as one word, in JSON and as text.
///
/// The generated enum
/// - is public and `Copy`, and its values are ordered as they are written;
/// - has the constant `ALL`, all values in that order, and the method `as_str`, the word of a value;
/// - implements `Display` with the word, and `Serialize` and `Deserialize` with exactly the word;
/// - implements `FromStr`, which ignores case and surrounding space and, for an unknown word, returns an error that
///   lists the known ones.
///
/// The calling crate needs `serde` with its feature `derive`. Variants need no documentation.
///
/// ```
/// hookmill_incident::words!(
///     /// The colour of a light.
///     Colour {
///         Red = "red",
///         /// Also called amber.
///         Yellow = "yellow",
///     }
/// );
/// assert_eq!(Colour::ALL, [Colour::Red, Colour::Yellow]);
/// assert!(Colour::Red < Colour::Yellow);
/// assert_eq!(Colour::Yellow.to_string(), "yellow");
/// assert_eq!(serde_json::to_string(&Colour::Yellow).unwrap(), "\"yellow\"");
/// assert_eq!(" RED ".parse(), Ok(Colour::Red));
/// assert_eq!("blue".parse::<Colour>(), Err("`blue` is not one of: red, yellow".to_owned()));
/// ```
#[macro_export]
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[allow(missing_docs, reason = "most words need no explanation")]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant),* }

        impl $name {
            /// All values, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Returns the word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            /// Reads a word; ignores case and surrounding space.
            fn from_str(word: &str) -> std::result::Result<Self, String> {
                let known = Self::ALL.iter().find(|value| value.as_str().eq_ignore_ascii_case(word.trim()));
                known.copied().ok_or_else(|| {
                    let allowed: Vec<&str> = Self::ALL.iter().map(|value| value.as_str()).collect();
                    format!("`{word}` is not one of: {}", allowed.join(", "))
                })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
    };
}
