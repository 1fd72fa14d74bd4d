//! Tables of routes.

/// Defines a function that returns a router and, for the test that compares routes with the OpenAPI document, a list of its
/// routes.
macro_rules! routes {
    ($visibility:vis $name:ident, $list:ident;
     $($path:expr => $method:ident($handler:path)$(.$more:ident($more_handler:path))*;)*) => {
        /// Returns the routes.
        $visibility fn $name() -> axum::Router<std::sync::Arc<crate::host::Host>> {
            axum::Router::new()$(.route($path, axum::routing::$method($handler)$(.$more($more_handler))*))*
        }

        #[cfg(test)]
        $visibility const $list: &[(&str, &[&str])] = &[$(($path, &[stringify!($method) $(, stringify!($more))*])),*];
    };
}

pub(crate) use routes;
