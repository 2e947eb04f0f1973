//! Where metrics are read: a proxy's page, or a Prometheus. Not here: what they mean.

mod address;
mod page;
mod query_api;

pub use self::address::{Address, NoPage, PAGE_PATH};
pub use self::page::{ScrapedPage, ScrapedSample};
pub use self::query_api::QueryApi;
