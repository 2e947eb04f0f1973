//! The expected result of the demo: the series that Istio's own proxy would report.

use anyhow::{Result, ensure};
use harness::page::Sample;
use harness::{Mesh, Response};
use stats_core::labels::{LABELS, Label, Reporter};
use stats_core::registry::ENVOY_BOUNDS;

use super::{REQUESTS, SidecarReport};
use crate::check::Check;

/// The counter.
pub const REQUESTS_TOTAL: &str = "istio_requests_total";
/// The histogram of durations, without a suffix.
pub const DURATION: &str = "istio_request_duration_milliseconds";

/// The prefix of the headers of the metadata exchange.
const PEER_HEADERS: &str = "x-envoy-peer-metadata";

/// What a sidecar reports.
pub fn report(report: &SidecarReport) -> Vec<Check> {
    let reporter = report.reporter.name();
    let claims = [
        format!("one {REQUESTS_TOTAL} series, and it counts {REQUESTS}"),
        format!("its {} labels have the expected values", Label::ALL.len()),
        format!("one {DURATION} series, and it counts {REQUESTS}"),
        "its labels are the same".to_owned(),
        format!("its buckets end at {}", in_short(&bounds())),
    ];
    let duration = |part| format!("{DURATION}_{part}");
    let results = [
        is_counted(report, REQUESTS_TOTAL),
        has_labels(report, REQUESTS_TOTAL),
        is_counted(report, &duration("count")),
        ["bucket", "sum", "count"]
            .iter()
            .try_for_each(|part| has_labels(report, &duration(part))),
        has_buckets(report),
    ];
    let checks = claims.into_iter().zip(results);
    checks
        .map(|(claim, result)| Check {
            claim: format!("{reporter:11}  {claim}"),
            result,
        })
        .collect()
}

/// The application and the client must not see the metadata exchange between their sidecars.
pub fn exchange(mesh: &Mesh, responses: &[Response]) -> [Check; 2] {
    let requests = mesh.app.requests();
    let headers = requests.iter().map(|request| &request.headers);
    let headers = headers.chain(responses.iter().map(|response| &response.headers));
    let names = headers.flat_map(|headers| headers.keys());
    let leaked = names.filter(|name| name.as_str().starts_with(PEER_HEADERS));
    let leaked: Vec<String> = leaked.map(ToString::to_string).collect();
    let good = responses.iter().filter(|response| response.status == 200);
    let counts = [requests.len(), good.count()].map(|count| count.to_string());
    [
        Check {
            claim: format!("application  received {REQUESTS} requests and answered each with 200"),
            result: expect(
                "requests and answers",
                &[REQUESTS, REQUESTS].map(|count| count.to_string()),
                &counts,
            ),
        },
        Check {
            claim: format!("application  saw no {PEER_HEADERS}* header, nor did the client"),
            result: expect("headers", &[], &leaked),
        },
    ]
}

/// The value of a label when podinfo calls podinfo over mutual TLS.
pub fn expected(label: Label, reporter: Reporter) -> &'static str {
    use Label as L;
    match label {
        L::Reporter => reporter.name(),
        L::SourceWorkload
        | L::SourceApp
        | L::SourceCanonicalService
        | L::DestinationWorkload
        | L::DestinationApp
        | L::DestinationCanonicalService
        | L::DestinationServiceName => "podinfo",
        L::SourceWorkloadNamespace
        | L::DestinationWorkloadNamespace
        | L::DestinationServiceNamespace => "test",
        L::SourcePrincipal | L::DestinationPrincipal => "spiffe://cluster.local/ns/test/sa/default",
        L::SourceCanonicalRevision | L::DestinationCanonicalRevision => "latest",
        L::SourceCluster | L::DestinationCluster => "c199d81d4e3104a5d90254b2a210914c8",
        L::DestinationService => "podinfo.test.svc.cluster.local",
        L::RequestProtocol => "http",
        L::ResponseFlags => "-",
        L::ConnectionSecurityPolicy if reporter == Reporter::Destination => "mutual_tls",
        // Outbound, the policy is that of the other sidecar, which is not known here.
        L::ConnectionSecurityPolicy | L::SourceVersion | L::DestinationVersion => "unknown",
        L::ResponseCode => "200",
        L::GrpcResponseStatus => "",
    }
}

/// The buckets' bounds as the page writes them.
fn bounds() -> Vec<String> {
    let bounds = ENVOY_BOUNDS.iter().map(f64::to_string);
    bounds.chain(["+Inf".to_owned()]).collect()
}

fn is_counted(report: &SidecarReport, name: &str) -> Result<()> {
    let samples = report.page.series(name);
    let values: Vec<String> = samples.iter().map(|one| one.value.to_string()).collect();
    expect("value", &[REQUESTS.to_string()], &values)
}

/// Whether all samples of that name have the expected labels and no others, but for a bucket's bound.
fn has_labels(report: &SidecarReport, name: &str) -> Result<()> {
    let samples = report.page.series(name);
    ensure!(!samples.is_empty(), "there is no {name}");
    samples
        .into_iter()
        .try_for_each(|sample| sample_has_labels(sample, report.reporter))
}

fn sample_has_labels(sample: &Sample, reporter: Reporter) -> Result<()> {
    for label in Label::ALL {
        let found: Vec<String> = sample.label(label.name()).map(quoted).into_iter().collect();
        let wanted = quoted(expected(label, reporter));
        expect(label.name(), &[wanted], &found)?;
    }
    let names = sample.labels.iter().map(|(name, _)| name.clone());
    let others: Vec<String> = names
        .filter(|name| name != "le" && !LABELS.contains(&name.as_str()))
        .collect();
    expect("other labels", &[], &others)
}

fn has_buckets(report: &SidecarReport) -> Result<()> {
    let buckets = report.page.series(&format!("{DURATION}_bucket"));
    let bound = |bucket: &&Sample| bucket.label("le").map(str::to_owned);
    let found: Vec<String> = buckets.iter().filter_map(bound).collect();
    expect("bounds", &bounds(), &found)?;
    ensure!(
        buckets.is_sorted_by(|one, next| one.value <= next.value),
        "a bucket holds less than the one before it"
    );
    let all = buckets.last().map(|bucket| bucket.value.to_string());
    let all: Vec<String> = all.into_iter().collect();
    expect("requests up to +Inf", &[REQUESTS.to_string()], &all)
}

/// Whether these are the values of that label or metric.
pub fn expect(what: &str, wanted: &[String], found: &[String]) -> Result<()> {
    let list = |values: &[String]| match values {
        [] => "none".to_owned(),
        _ => values.join(", "),
    };
    ensure!(
        wanted == found,
        "{what}: expected {}, found {}",
        list(wanted),
        list(found)
    );
    Ok(())
}

fn quoted(value: &str) -> String {
    format!("{value:?}")
}

/// `0.5, 1, 5 … 3600000, +Inf`
fn in_short(bounds: &[String]) -> String {
    match bounds {
        [first @ .., last_but_one, last] if first.len() > 3 => {
            format!("{} … {last_but_one}, {last}", first[..3].join(", "))
        }
        _ => bounds.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use harness::Page;

    use super::*;

    /// A page as the application's sidecar serves it, with one label changed.
    fn page(changed: &str, value: &str) -> SidecarReport {
        let label = |label: Label| match label.name() {
            name if name == changed => format!("{name}={value:?}"),
            name => format!("{name}={:?}", expected(label, Reporter::Destination)),
        };
        let labels = Label::ALL.map(label).join(",");
        let mut lines = vec![
            format!("# TYPE {REQUESTS_TOTAL} counter"),
            format!("{REQUESTS_TOTAL}{{{labels}}} 10"),
            format!("# TYPE {DURATION} histogram"),
            format!("{DURATION}_sum{{{labels}}} 7"),
            format!("{DURATION}_count{{{labels}}} 10"),
        ];
        let bucket = |bound| format!("{DURATION}_bucket{{{labels},le=\"{bound}\"}} 10");
        lines.extend(bounds().into_iter().map(bucket));
        SidecarReport {
            reporter: Reporter::Destination,
            sidecar: "",
            address: String::new(),
            page: Page::parse(&lines.join("\n")).unwrap(),
        }
    }

    fn problems(page: &SidecarReport) -> Vec<String> {
        let checks = report(page).into_iter();
        checks
            .filter_map(|check| check.result.err().map(|error| error.to_string()))
            .collect()
    }

    #[test]
    fn the_expected_page_passes() {
        assert_eq!(problems(&page("", "")), [""; 0]);
    }

    #[test]
    fn a_wrong_label_is_named() {
        let problem = r#"source_version: expected "unknown", found "v2""#;
        assert_eq!(problems(&page("source_version", "v2")), [problem; 2]);
    }

    #[test]
    fn an_empty_page_fails_every_check() {
        let mut report = page("", "");
        report.page = Page::default();
        assert_eq!(problems(&report).len(), 5);
    }
}
