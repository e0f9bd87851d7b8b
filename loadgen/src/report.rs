//! What a run leaves: JSON for programs, `.hgrm` for those who plot latencies.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{fs, io};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::Record;

/// Ticks of a percentile's half distance in a `.hgrm` file, as HdrHistogram's own tools write it.
const TICKS: u32 = 5;
const QUANTILES: [(&str, f64); 6] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
    ("max", 1.0),
];

/// Files whose contents belong to the measurement: a cgroup's `cpu.stat`, a process' `status`.
#[derive(Debug)]
pub struct Watched {
    files: Vec<PathBuf>,
    before: Vec<String>,
    after: Vec<String>,
}

impl Watched {
    /// Reads them for the first time.
    ///
    /// # Errors
    /// Which one can't be read.
    pub fn begin(files: &[PathBuf]) -> io::Result<Self> {
        Ok(Self {
            before: read(files)?,
            after: Vec::new(),
            files: files.to_vec(),
        })
    }

    /// Reads them again.
    ///
    /// # Errors
    /// Which one can't be read.
    pub fn end(&mut self) -> io::Result<()> {
        self.after = read(&self.files)?;
        Ok(())
    }

    fn json(&self) -> Value {
        let files = self.files.iter().zip(self.before.iter().zip(&self.after));
        let each = files.map(|(file, (before, after))| {
            json!({ "file": file.display().to_string(), "before": before, "after": after })
        });
        each.collect()
    }
}

fn read(files: &[PathBuf]) -> io::Result<Vec<String>> {
    let each = files.iter().map(|file| {
        let named = |error| io::Error::other(format!("{}: {error}", file.display()));
        fs::read_to_string(file).map_err(named)
    });
    each.collect()
}

/// The whole of a run.
#[must_use]
pub fn json(scenario: &str, parameters: Value, record: &Record, watched: &Watched) -> Value {
    json!({
        "scenario": scenario,
        "parameters": parameters,
        "seconds": record.took.as_secs_f64(),
        "done": record.done,
        "bytes": record.bytes,
        "failed": record.failed,
        "failures": record.failures,
        "unsent": record.unsent,
        "latency_us": quantiles(&record.latency),
        "service_us": quantiles(&record.service),
        "watched": watched.json(),
    })
}

fn quantiles(histogram: &Histogram<u64>) -> Value {
    let mut found: serde_json::Map<_, _> = QUANTILES
        .iter()
        .map(|(name, at)| {
            let nanos = histogram.value_at_quantile(*at);
            ((*name).to_owned(), json!(nanos as f64 / 1e3))
        })
        .collect();
    found.insert("mean".to_owned(), json!(histogram.mean() / 1e3));
    Value::Object(found)
}

/// The distribution in HdrHistogram's percentile format, in milliseconds.
#[must_use]
pub fn hgrm(histogram: &Histogram<u64>) -> String {
    let mut text = "       Value     Percentile TotalCount 1/(1-Percentile)\n\n".to_owned();
    let mut count = 0;
    for step in histogram.iter_quantiles(TICKS) {
        count += step.count_since_last_iteration();
        let (value, at) = (
            step.value_iterated_to() as f64 / 1e6,
            step.quantile_iterated_to(),
        );
        // Writing into a string can't fail.
        let _ = if at < 1.0 {
            writeln!(
                text,
                "{value:12.6} {at:.12} {count:10} {:14.2}",
                1.0 / (1.0 - at)
            )
        } else {
            writeln!(text, "{value:12.6} {at:.12} {count:10}            inf")
        };
    }
    let _ = write!(
        text,
        "#[Mean    = {:12.6}, StdDeviation   = {:12.6}]\n#[Max     = {:12.6}, Total count    = {:12}]\n",
        histogram.mean() / 1e6,
        histogram.stdev() / 1e6,
        histogram.max() as f64 / 1e6,
        histogram.len(),
    );
    text
}

/// Writes `PREFIX.json` and `PREFIX.hgrm`.
///
/// # Errors
/// What the system says, and of which file.
pub fn write(prefix: &Path, report: &Value, record: &Record) -> io::Result<()> {
    for (ending, text) in [
        (".json", format!("{report:#}\n")),
        (".hgrm", hgrm(&record.latency)),
    ] {
        let mut path = prefix.as_os_str().to_owned();
        path.push(ending);
        let path = PathBuf::from(path);
        let named = |error| io::Error::other(format!("{}: {error}", path.display()));
        fs::write(&path, text).map_err(named)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_distribution_ends_with_all_samples_at_the_maximum() {
        let mut record = Record::default();
        for n in 1..=1000 {
            record.done(Duration::from_micros(n), Duration::ZERO, 0);
        }
        let text = hgrm(&record.latency);
        let last = text.lines().rfind(|line| line.ends_with("inf")).unwrap();
        assert!(
            last.contains("1.000000000000") && last.contains("1000 "),
            "{last}"
        );
        assert!(text.contains("Total count    =         1000"), "{text}");
        let p50 = quantiles(&record.latency)["p50"].as_f64().unwrap();
        assert!((500.0..501.0).contains(&p50), "{p50}");
    }

    #[test]
    fn a_watched_file_that_is_not_there_is_named() {
        let gone = PathBuf::from("/nonexistent/cpu.stat");
        let error = Watched::begin(&[gone]).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/cpu.stat"), "{error}");
    }
}
