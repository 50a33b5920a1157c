//! Which rows run, how often, and what is said about them in the end.

use std::process::ExitCode;

use crate::arguments::Choice;
use crate::report::Of;
use crate::rows::{self, Row};
use crate::run::{Round, round};
use crate::stage::House;

/// A round that has shown nothing is repeated so often with another seed.
const TRIES: u64 = 3;

pub fn list() {
    for row in rows::all() {
        let mark = if row.quick { "quick" } else { "" };
        println!("  {:<18} {mark:<6} {}", row.name, row.promise);
        if let Some(why) = row.missing() {
            println!("  {:<18}        cannot be tried here: {why}", "");
        }
    }
}

fn chosen(choice: &Choice, row: &Row) -> bool {
    let named = choice.words.iter().any(|word| row.name.contains(word.as_str()));
    let only = choice.only.iter().any(|name| name == row.name);
    let nothing_said = choice.words.is_empty() && choice.only.is_empty();
    named || only || (nothing_said && (choice.all || row.quick))
}

pub fn bench(choice: &Choice) -> ExitCode {
    let rows = rows::all();
    if let Some(unknown) = choice.only.iter().find(|name| !rows.iter().any(|row| row.name == name.as_str())) {
        eprintln!("there is no row {unknown}; `-- list` prints them");
        return ExitCode::from(2);
    }
    let rows: Vec<&Row> = rows.iter().filter(|row| chosen(choice, row)).collect();
    if rows.is_empty() {
        return ExitCode::SUCCESS;
    }
    crate::runtime().block_on(run(choice, &rows))
}

async fn run(choice: &Choice, rows: &[&Row]) -> ExitCode {
    println!("faults: {} rows, {} rounds each, from seed {}", rows.len(), choice.rounds, choice.seed);
    let mut house = House::open().await;
    let mut all = Vec::new();
    for row in rows {
        let of = row_of(&mut house, choice, row).await;
        of.print();
        all.push(of);
        if let Some(path) = &choice.json {
            let results: Vec<_> = all.iter().map(Of::json).collect();
            std::fs::write(path, serde_json::json!({"rows": results}).to_string()).expect("the file can be written");
        }
    }
    // What was wrong stays; nothing else does.
    let _evidence = std::fs::remove_dir(crate::run::evidence());
    let bad = all.iter().filter(|of| !of.good()).count();
    let rounds: usize = all.iter().filter(|of| of.ran()).map(|of| of.rounds.len()).sum();
    let ran = all.iter().filter(|of| of.ran()).count();
    println!("faults: {rounds} rounds of {ran} rows, {bad} rows with trouble, {} rows not run here", all.len() - ran);
    if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn row_of<'a>(house: &mut House, choice: &Choice, row: &'a Row) -> Of<'a> {
    let mut of = Of { row, rounds: Vec::new(), void: Vec::new() };
    for number in 0..u64::from(choice.rounds) {
        let mut last: Option<Round> = None;
        for again in 0..TRIES {
            of.void.extend(last.take());
            let one = round(house, row, choice.seed + number + again * 1_000_000).await;
            let shows = one.missed.is_empty() || !one.findings.is_empty() || one.not_run.is_some();
            last = Some(one);
            if shows {
                break;
            }
        }
        of.rounds.extend(last);
        if of.rounds.iter().any(|round| round.not_run.is_some()) {
            break;
        }
    }
    of
}
