//! The macros that describe a plugin and export a mapper.

/// Returns a [`Description`](crate::Description) with the version of the calling crate: `description!(name, summary)`, or
/// `description!(name, summary, scheme)` with the name of the vendor's signature scheme.
#[macro_export]
macro_rules! description {
    ($name:expr, $summary:expr) => {
        $crate::description!(@ $name, $summary, None)
    };
    ($name:expr, $summary:expr, $scheme:expr) => {
        $crate::description!(@ $name, $summary, Some($scheme.into()))
    };
    (@ $name:expr, $summary:expr, $scheme:expr) => {
        $crate::Description {
            name: $name.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: $summary.into(),
            scheme: $scheme,
        }
    };
}

/// Exports a [`Mapper`](crate::Mapper) as the crate's plugin. Use once per crate.
#[macro_export]
macro_rules! export {
    ($mapper:ty) => {
        const _: () = {
            struct Plugin;
            impl $crate::bindings::mapper::Guest for Plugin {
                fn describe() -> $crate::Description {
                    $crate::report_panics();
                    <$mapper as $crate::Mapper>::describe()
                }
                fn to_incidents(event: $crate::Event) -> Result<$crate::Outcome, $crate::MappingError> {
                    $crate::report_panics();
                    $crate::map::<$mapper>(&event)
                }
            }
            $crate::__export_plugin!(Plugin, mapper);
        };
    };
}
