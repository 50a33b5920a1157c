//! `onsale log`: what stands in the log? For people, and as JSON for checkers and analysts that are not ours.
//!
//! Reads beside a serving node, a bounded piece at a time. A log that is damaged is refused with the place of the damage:
//! every row's chain and position are checked on the way out. The shape of a line stands in `API.md`, "The log as JSON".

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use clap::Subcommand;

use super::Global;
use super::failure::Failure;
use crate::app;
use crate::events::{Chain, Record, codec};
use crate::fault::Fault;
use crate::ids::{Partition, Position, StreamId, Version};
use crate::journal::SharedJournal;
use crate::journal::open::Role;
use crate::limits;

/// How often `tail` looks for something new.
const POLL: Duration = Duration::from_millis(100);

#[derive(clap::Args, Debug)]
pub struct Log {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand, Debug)]
enum Act {
    /// Prints new events as they come, until Ctrl-C. With --from also those after that position.
    Tail(Selection),
    /// Prints every event, partition by partition, in order.
    Export(Selection),
    /// Counts events by kind and by partition.
    Stats(Selection),
}

#[derive(clap::Args, Debug)]
struct Selection {
    /// One stream only, for example order/o12_… or seat/<performance>/<seat>.
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// One partition only.
    #[arg(long, value_name = "P")]
    partition: Option<u16>,
    /// Start at this position (with --stream: this version of the stream).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    from: Option<u64>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

impl Log {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let config = global.load(Vec::new())?;
        let journal = app::open_journal(&config, Role::Read).await?;
        match self.act {
            Act::Tail(selection) => tail(&journal, &selection).await,
            Act::Export(selection) => export(&journal, &selection).await,
            Act::Stats(selection) => stats(&journal, &selection).await,
        }
    }
}

impl Selection {
    fn partitions(&self, journal: &SharedJournal) -> Result<Vec<Partition>, Failure> {
        let all = journal.partitions();
        match self.partition {
            Some(one) if one >= all => {
                Err(Failure::of(format!("there is no partition {one}; this log has 0 to {}", all - 1)))
            }
            Some(one) => Ok(vec![Partition(one)]),
            None => Ok((0..all).map(Partition).collect()),
        }
    }

    fn after(&self) -> Position {
        Position(self.from.map_or(0, |n| n - 1))
    }

    fn stream(&self) -> Option<StreamId> {
        self.stream.as_deref().map(StreamId::from_log)
    }
}

async fn export(journal: &SharedJournal, selection: &Selection) -> Result<(), Failure> {
    let mut printer = Printer::new(selection.json);
    if let Some(stream) = selection.stream() {
        let mut after = Version(selection.after().0);
        loop {
            let records = journal.read_stream(&stream, after, limits::READ_BATCH).await?;
            let Some(last) = records.last() else { return Ok(()) };
            after = last.version;
            printer.all(&records)?;
        }
    }
    for partition in selection.partitions(journal)? {
        let mut reader = Reader::at(partition, selection.after());
        while let Some(records) = reader.next(journal).await? {
            printer.all(&records)?;
        }
    }
    Ok(())
}

async fn tail(journal: &SharedJournal, selection: &Selection) -> Result<(), Failure> {
    let mut printer = Printer::new(selection.json);
    let heads = journal.heads().await?;
    let wanted = selection.stream();
    let mut readers: Vec<Reader> = selection
        .partitions(journal)?
        .into_iter()
        .filter(|p| wanted.as_ref().is_none_or(|stream| stream.partition(journal.partitions()) == Some(*p)))
        .map(|p| {
            let from_now = heads.get(usize::from(p.0)).copied().unwrap_or_default();
            // With --stream, --from counts the stream's versions: the partition is read from its start and filtered.
            let from = if selection.from.is_some() && wanted.is_some() { Position(0) } else { selection.after() };
            Reader::at(p, if selection.from.is_some() { from } else { from_now })
        })
        .collect();
    let first = Version(selection.from.unwrap_or(0));
    let mut signals = app::StopSignals::listen()?;
    let mut tick = tokio::time::interval(POLL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = signals.heard() => return Ok(()),
            _ = tick.tick() => {}
        }
        let heads = journal.heads().await?;
        for reader in &mut readers {
            while heads.get(usize::from(reader.partition.0)).is_some_and(|head| *head > reader.after) {
                let Some(mut records) = reader.next(journal).await? else { break };
                if let Some(stream) = &wanted {
                    records.retain(|r| &r.stream == stream && r.version >= first);
                }
                printer.all(&records)?;
            }
        }
    }
}

async fn stats(journal: &SharedJournal, selection: &Selection) -> Result<(), Failure> {
    let wanted = selection.stream();
    let mut kinds: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut partitions: BTreeMap<u16, u64> = BTreeMap::new();
    for partition in selection.partitions(journal)? {
        let mut reader = Reader::at(partition, selection.after());
        while let Some(records) = reader.next(journal).await? {
            for record in records.iter().filter(|r| wanted.as_ref().is_none_or(|stream| &r.stream == stream)) {
                let (count, bytes) = kinds.entry(record.kind.to_string()).or_default();
                *count += 1;
                *bytes += record.payload.len() as u64;
                *partitions.entry(partition.0).or_default() += 1;
            }
        }
    }
    let events: u64 = partitions.values().sum();
    let mut out = std::io::stdout().lock();
    if selection.json {
        let kinds: BTreeMap<_, _> = kinds
            .into_iter()
            .map(|(kind, (count, bytes))| (kind, serde_json::json!({"events": count, "payload_bytes": bytes})))
            .collect();
        let all = serde_json::json!({"events": events, "kinds": kinds, "partitions": partitions});
        writeln!(out, "{all}")?;
    } else {
        for (kind, (count, bytes)) in &kinds {
            writeln!(out, "{count:>12}  {bytes:>14} bytes  {kind}")?;
        }
        let total = journal.partitions();
        writeln!(out, "{events:>12}  events in {} of {total} partitions ({})", partitions.len(), journal.engine())?;
    }
    Ok(out.flush()?)
}

/// Reads one partition in order and notices a row that does not follow from the one before.
struct Reader {
    partition: Partition,
    after: Position,
    /// Unknown where reading starts in the middle: then the first row is taken as it stands.
    chain: Option<Chain>,
}

impl Reader {
    fn at(partition: Partition, after: Position) -> Self {
        Self { partition, after, chain: (after == Position(0)).then(Chain::default) }
    }

    /// `None` at the end of the log.
    async fn next(&mut self, journal: &SharedJournal) -> Result<Option<Vec<Record>>, Fault> {
        let records = journal.read_partition(self.partition, self.after, limits::READ_BATCH).await?;
        for record in &records {
            let damaged = |detail: &str| Fault::Damaged {
                partition: self.partition,
                position: self.after.next(),
                detail: detail.to_owned(),
            };
            if record.position != self.after.next() {
                return Err(damaged("the row is missing"));
            }
            if self.chain.is_some_and(|previous| record.chain_after(&previous) != record.chain) {
                return Err(damaged("the row does not follow from the one before it"));
            }
            self.after = record.position;
            self.chain = Some(record.chain);
        }
        Ok((!records.is_empty()).then_some(records))
    }
}

/// Writes records to stdout.
struct Printer {
    json: bool,
}

impl Printer {
    fn new(json: bool) -> Self {
        Self { json }
    }

    /// Flushes once for all of them, so that a tail shows them at once and an export is not one write per row.
    fn all(&mut self, records: &[Record]) -> Result<(), Failure> {
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        for record in records {
            let event = record.event().map_err(|e| Fault::Damaged {
                partition: record.partition,
                position: record.position,
                detail: e.to_string(),
            })?;
            let data = codec::to_json(&event).map_err(|e| Failure::of(format!("an event is not JSON: {e}")))?;
            if self.json {
                writeln!(out, "{}", record.to_json(&data))?;
            } else {
                let Record { partition, position, at, kind, stream, version, principal, .. } = record;
                writeln!(out, "{partition}:{position} {at} {kind} {stream}#{} by {principal} {data}", version.0)?;
            }
        }
        Ok(out.flush()?)
    }
}
