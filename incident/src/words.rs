//! Enums whose values are words of the contract: in JSON, in the database, on the command line and in messages.

/// Makes an enum whose every variant stands for one word.
#[macro_export]
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[allow(missing_docs, reason = "most words say it themselves")]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant),* }

        impl $name {
            /// Every value, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word that stands for it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            /// Reads the word without case.
            fn from_str(word: &str) -> Result<Self, String> {
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
