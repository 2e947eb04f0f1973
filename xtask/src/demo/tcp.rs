//! A TCP connection from podinfo to podinfo, through a pair of sidecars of its own: how it is made, shown and checked.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use harness::page::Sample;
use harness::{Mesh, Page, Sidecar, SidecarBuilder, TcpApp, Upstream};
use stats_core::labels::metrics::TcpMetric;
use stats_core::labels::{Label, Reporter};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{check, show};
use crate::check::Check;

/// What the client says, and the server says again.
const WORDS: &[u8] = b"hello";
/// The clusters to which the client introduces itself.
const CONFIGURATION: &str = r#"{"tcp_exchange_clusters":["outbound|9898||*"]}"#;

/// What both sidecars report of a connection that has ended.
pub struct TcpReport {
    pages: [(Reporter, Page); 2],
}

impl TcpReport {
    /// Makes the connection, and reads both pages when it has ended. Nothing of it runs afterwards.
    pub async fn make() -> Result<Self> {
        let app = TcpApp::start(b"").await?;
        let mesh = Mesh::builder()
            .both(SidecarBuilder::tcp)
            .inbound(|sidecar| sidecar.upstream(Upstream::At(app.address())))
            .outbound(|sidecar| sidecar.plugin_config(CONFIGURATION))
            .start()
            .await?;
        say(mesh.outbound.traffic).await?;
        Ok(Self {
            pages: [
                (Reporter::Destination, ended(&mesh.inbound).await?),
                (Reporter::Source, ended(&mesh.outbound).await?),
            ],
        })
    }

    /// Shows the bytes of the application's sidecar.
    pub fn show(&self) {
        let [(reporter, page), _] = &self.pages;
        let name = full_name(TcpMetric::SentBytesTotal);
        for sample in page.series(&name) {
            let whose = format!("reporter={}: a connection", reporter.name());
            show::sample(&name, sample, &whose);
        }
    }

    /// Checks each of the four counters of both sidecars.
    pub fn checks(&self) -> Vec<Check> {
        let check = |(reporter, page): &(Reporter, Page)| Check {
            claim: format!(
                "{:11}  a TCP connection is counted: opened, closed, its bytes, {} labels",
                reporter.name(),
                TcpMetric::LABELS
            ),
            result: is_counted(page, *reporter),
        };
        self.pages.iter().map(check).collect()
    }
}

fn full_name(metric: TcpMetric) -> String {
    format!("istio_{}", metric.name())
}

async fn say(to: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(WORDS).await?;
    stream.shutdown().await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    ensure!(answer == WORDS, "the TCP server answers {answer:?}");
    Ok(())
}

async fn ended(sidecar: &Sidecar) -> Result<Page> {
    let closed = full_name(TcpMetric::ConnectionsClosedTotal);
    let is_closed = |page: &Page| page.sum(&closed, &[]) >= 1.0;
    let page = sidecar.page_when("an ended TCP connection", is_closed);
    page.await.context("a sidecar does not report a connection")
}

fn is_counted(page: &Page, reporter: Reporter) -> Result<()> {
    for metric in TcpMetric::ALL {
        let name = full_name(metric);
        let wanted = match metric {
            TcpMetric::ConnectionsOpenedTotal | TcpMetric::ConnectionsClosedTotal => 1,
            TcpMetric::SentBytesTotal | TcpMetric::ReceivedBytesTotal => WORDS.len(),
        };
        let samples = page.series(&name);
        let found: Vec<String> = samples.iter().map(|one| one.value.to_string()).collect();
        check::expect(&name, &[wanted.to_string()], &found)?;
        for sample in samples {
            has_labels(sample, reporter)?;
        }
    }
    Ok(())
}

/// The labels are a request's, but for the protocol, and for those of a response.
fn has_labels(sample: &Sample, reporter: Reporter) -> Result<()> {
    for label in Label::ALL.into_iter().take(TcpMetric::LABELS) {
        let wanted = match label {
            Label::RequestProtocol => "tcp",
            label => check::expected(label, reporter),
        };
        let found: Vec<String> = sample
            .label(label.name())
            .map(str::to_owned)
            .into_iter()
            .collect();
        check::expect(label.name(), &[wanted.to_owned()], &found)?;
    }
    ensure!(
        sample.labels.len() == TcpMetric::LABELS,
        "{} labels instead of {}",
        sample.labels.len(),
        TcpMetric::LABELS
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_page_fails_the_check() {
        let error = is_counted(&Page::default(), Reporter::Source).unwrap_err();
        assert_eq!(
            error.to_string(),
            "istio_tcp_connections_opened_total: expected 1, found none"
        );
    }

    #[test]
    fn a_series_without_labels_fails_the_check() {
        let counters = TcpMetric::ALL.map(|metric| {
            let name = full_name(metric);
            let value = if name.contains("bytes") { 5 } else { 1 };
            format!("# TYPE {name} counter\n{name} {value}")
        });
        let page = Page::parse(&counters.join("\n")).unwrap();
        let error = is_counted(&page, Reporter::Source).unwrap_err();
        assert_eq!(error.to_string(), "reporter: expected source, found none");
    }
}
