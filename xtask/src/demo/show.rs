//! The demo's result for a person: labels in groups, buckets in two rows, ordinary width.

use console::{measure_text_width, style};
use harness::Mesh;
use harness::page::Sample;
use stats_core::labels::Label;

use super::check::{DURATION, REQUESTS_TOTAL};
use super::{APPLICATIONS, CLIENTS, SidecarReport};

/// No line is longer, unless a single label is.
const WIDTH: usize = 100;

/// Where the labels begin on a line.
const INDENT: usize = 27;

/// Labels that belong together.
struct Group {
    title: &'static str,
    /// The common prefix of their names, which is shown once.
    prefix: &'static str,
    labels: &'static [Label],
}

/// Source, destination, service, request, response and security. `reporter` is shown above them.
const GROUPS: [Group; 6] = [
    Group {
        title: "from",
        prefix: "source_",
        labels: &[
            Label::SourceWorkload,
            Label::SourceWorkloadNamespace,
            Label::SourceApp,
            Label::SourceVersion,
            Label::SourceCanonicalService,
            Label::SourceCanonicalRevision,
            Label::SourcePrincipal,
            Label::SourceCluster,
        ],
    },
    Group {
        title: "to",
        prefix: "destination_",
        labels: &[
            Label::DestinationWorkload,
            Label::DestinationWorkloadNamespace,
            Label::DestinationApp,
            Label::DestinationVersion,
            Label::DestinationCanonicalService,
            Label::DestinationCanonicalRevision,
            Label::DestinationPrincipal,
            Label::DestinationCluster,
        ],
    },
    Group {
        title: "service",
        prefix: "destination_",
        labels: &[
            Label::DestinationService,
            Label::DestinationServiceName,
            Label::DestinationServiceNamespace,
        ],
    },
    Group {
        title: "request",
        prefix: "",
        labels: &[Label::RequestProtocol],
    },
    Group {
        title: "response",
        prefix: "",
        labels: &[
            Label::ResponseCode,
            Label::ResponseFlags,
            Label::GrpcResponseStatus,
        ],
    },
    Group {
        title: "security",
        prefix: "",
        labels: &[Label::ConnectionSecurityPolicy],
    },
];

/// What one sidecar reports.
pub fn report(report: &SidecarReport) {
    for sample in report.page.series(REQUESTS_TOTAL) {
        let reporter = sample.label(Label::Reporter.name()).unwrap_or_default();
        let whose = format!(
            "reporter={reporter}: {}, {}",
            report.sidecar, report.address
        );
        self::sample(REQUESTS_TOTAL, sample, &whose);
    }
    print_durations(report);
}

/// One counter with its labels.
pub fn sample(metric: &str, sample: &Sample, whose: &str) {
    print_heading(metric, sample.value, whose);
    for group in &GROUPS {
        print_group(group, sample);
    }
}

/// What to look at and to try while the demo is kept running.
pub fn what_to_try(mesh: &Mesh, view: &str) {
    let page = |address| format!("curl -s {address}/stats/prometheus | grep istio_");
    let lines = [
        (APPLICATIONS, page(mesh.inbound.metrics)),
        (CLIENTS, page(mesh.outbound.metrics)),
        (
            "one more request",
            format!(
                "curl -s -H 'Host: {}' {}/version",
                harness::client::AUTHORITY,
                mesh.outbound.traffic
            ),
        ),
    ];
    println!("\nEverything runs until Ctrl-C, and two requests a second go on. In a browser:\n");
    println!("  {:25}  {}", "who calls whom, live", style(view).cyan());
    println!("\nIn another terminal:\n");
    for (what, line) in lines {
        println!("  {what:25}  {}", style(line).cyan());
    }
}

fn print_heading(metric: &str, value: f64, more: &str) {
    let (metric, value) = (style(metric).bold(), style(value).bold().green());
    println!("\n{metric} {value}   {}", style(more).dim());
}

fn print_group(group: &Group, sample: &Sample) {
    let Group {
        title,
        prefix,
        labels,
    } = group;
    let prefix_shown = match *prefix {
        "" => String::new(),
        prefix => format!("{prefix}*"),
    };
    let head = format!("  {title:8}  {prefix_shown:13}  ");
    let values = labels.iter().filter_map(|label| {
        let name = label.name();
        let value = sample.label(name)?;
        Some(pair(name.strip_prefix(prefix).unwrap_or(name), value))
    });
    let mut lines = wrapped(values, WIDTH - INDENT).into_iter();
    // A connection has fewer labels than a request.
    let Some(first) = lines.next() else { return };
    println!("{}{first}", style(head).dim());
    for line in lines {
        println!("{:INDENT$}{line}", "");
    }
}

fn pair(name: &str, value: &str) -> String {
    let value = if value.is_empty() { "\"\"" } else { value };
    format!("{}{value}", style(format!("{name}=")).dim())
}

/// As many words a line as fit.
fn wrapped(words: impl Iterator<Item = String>, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if measure_text_width(line) + 2 + measure_text_width(&word) <= width => {
                line.push_str("  ");
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

fn print_durations(report: &SidecarReport) {
    let value = |part| report.page.sum(&format!("{DURATION}_{part}"), &[]);
    let (count, sum) = (value("count"), value("sum"));
    print_heading(DURATION, count, &format!("{sum:.1} ms in all"));
    let columns = columns(&report.page.series(&format!("{DURATION}_bucket")));
    let row = |cell: fn(&Column) -> &str| -> String {
        let cells = columns.iter().map(|column| {
            let widths = [&column.bound, &column.count].map(|text| measure_text_width(text));
            let width = widths[0].max(widths[1]) + 2;
            format!("{:>width$}", cell(column))
        });
        cells.collect()
    };
    println!(
        "  {}{}",
        style("le      ").dim(),
        row(|column| &column.bound)
    );
    println!(
        "  {}{}",
        style("requests").dim(),
        row(|column| &column.count)
    );
}

/// One bucket as it is shown.
struct Column {
    bound: String,
    count: String,
}

/// The buckets without repetitions: of those that hold all requests, only the first two and the last.
fn columns(buckets: &[&Sample]) -> Vec<Column> {
    let Some((last, buckets)) = buckets.split_last() else {
        return Vec::new();
    };
    let full = buckets.iter().position(|bucket| bucket.value >= last.value);
    let shown = full.map_or(buckets.len(), |full| (full + 2).min(buckets.len()));
    let column = |bucket: &&Sample| Column {
        bound: bucket.label("le").unwrap_or_default().to_owned(),
        count: bucket.value.to_string(),
    };
    let mut columns: Vec<Column> = buckets[..shown].iter().map(column).collect();
    if shown < buckets.len() {
        let dots = || "…".to_owned();
        columns.push(Column {
            bound: dots(),
            count: dots(),
        });
    }
    columns.push(column(last));
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_is_in_one_group() {
        let grouped = GROUPS.iter().flat_map(|group| group.labels);
        let mut shown: Vec<&str> = grouped.map(|label| label.name()).collect();
        shown.push(Label::Reporter.name());
        shown.sort_unstable();
        let mut all = Label::ALL.map(Label::name);
        all.sort_unstable();
        assert_eq!(shown, all);
    }

    #[test]
    fn a_line_takes_as_many_words_as_fit() {
        let words = ["one", "two", "three", "four"].map(str::to_owned);
        assert_eq!(
            wrapped(words.into_iter(), 10),
            ["one  two", "three", "four"]
        );
    }

    #[test]
    fn buckets_that_say_nothing_new_are_left_out() {
        let bucket = |bound: &str, value| Sample {
            name: String::new(),
            labels: vec![("le".to_owned(), bound.to_owned())],
            value,
        };
        let shown = |buckets: &[Sample]| {
            let columns = columns(&buckets.iter().collect::<Vec<_>>()).into_iter();
            let columns = columns.map(|column| format!("{}:{}", column.bound, column.count));
            columns.collect::<Vec<_>>().join(" ")
        };
        let mut buckets = vec![bucket("1", 7.0), bucket("+Inf", 9.0)];
        assert_eq!(shown(&buckets), "1:7 +Inf:9");
        for bound in ["25", "10", "5"] {
            buckets.insert(1, bucket(bound, 9.0));
        }
        assert_eq!(shown(&buckets), "1:7 5:9 10:9 …:… +Inf:9");
        assert_eq!(shown(&[]), "");
    }
}
