//! Rejected rows as files that can be edited: one for each file that they come from, under its own header. Nothing is
//! overwritten, and what cannot be written is counted and named.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueHint};
use common::config::{Config, Problem};
use common::{Exit, FileId, say};
use consumer::rejects::{ByFile, Filter, Reject, Rejects};
use producer::mend::{self, Again, AgainError};
use serde::Serialize;

use super::{Chosen, count};

/// Flags of `millrace rejects export`.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// Where the files go; the directory is made where it is missing.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: PathBuf,
    #[command(flatten)]
    chosen: Chosen,
    /// Print what was written as one JSON object.
    #[arg(long)]
    json: bool,
}

/// What has become of the rows.
#[derive(Debug, Default, Serialize)]
struct Written {
    /// Rows that were written.
    rows: i64,
    files: Vec<WrittenFile>,
    left_out: Vec<LeftOut>,
}

#[derive(Debug, Serialize)]
struct WrittenFile {
    file: PathBuf,
    rows: i64,
}

/// Rows that could not be written.
#[derive(Debug, Serialize)]
struct LeftOut {
    rows: i64,
    /// One of them, where it is known.
    example: Option<String>,
    why: String,
}

/// Rows of one file, and where they go.
#[derive(Debug)]
struct Plan {
    file_id: i64,
    name: String,
    header: Vec<String>,
    delimiter: char,
}

impl Export {
    pub(super) async fn run(self, config: &Config, table: &mut Rejects) -> anyhow::Result<Exit> {
        let filter = self.chosen.filter(table, false).await?;
        let mut written = Written::default();
        let mut plans = Vec::new();
        for file in table.by_file(&filter).await? {
            match Plan::of(file) {
                Ok(plan) => plans.push(plan),
                Err(left_out) => written.left_out.push(left_out),
            }
        }
        refuse_taken(&self.dir, &plans)?;
        if !plans.is_empty() {
            fs::create_dir_all(&self.dir)
                .with_context(|| format!("failed to make {}", self.dir.display()))?;
        }
        for plan in plans {
            plan.write(&self.dir, config, (table, &filter), &mut written).await?;
        }
        if self.json {
            say(format_args!("{}", serde_json::to_string_pretty(&written)?));
        } else {
            say(written.to_text());
        }
        Ok(Exit::Ok)
    }
}

/// Refuses before the first file is written, so that there is all or nothing.
fn refuse_taken(dir: &Path, plans: &[Plan]) -> anyhow::Result<()> {
    let taken = plans.iter().map(|plan| dir.join(&plan.name)).find(|path| path.exists());
    taken.map_or(Ok(()), |path| {
        let taken =
            format!("{} is there, and is not overwritten; name a directory that is empty", path.display());
        Err(Problem::new(taken).into())
    })
}

impl Plan {
    fn of(file: ByFile) -> Result<Self, LeftOut> {
        let left_out = |why: &str| LeftOut { rows: file.rejects, example: None, why: why.to_owned() };
        let Some(file_id) = file.file_id else {
            return Err(left_out("they do not say which row of which file they are"));
        };
        let (Some(path), Some(header)) = (&file.path, file.header.clone()) else {
            return Err(left_out(&format!("the header of file {file_id} is not known")));
        };
        let name = path.rsplit('/').next().unwrap_or(path);
        let dot = [".csv", ".tsv"].iter().find_map(|ending| name.rfind(ending)).unwrap_or(name.len());
        let ending = if name[dot..].starts_with(".tsv") { ".tsv" } else { ".csv" };
        let name = format!("{}.{file_id}{ending}", &name[..dot]);
        Ok(Self { file_id, name, header, delimiter: file.delimiter.unwrap_or(',') })
    }

    /// Writes the rows a page at a time, so that memory does not grow with their number.
    async fn write(
        self,
        dir: &Path,
        config: &Config,
        (table, filter): (&mut Rejects, &Filter),
        written: &mut Written,
    ) -> anyhow::Result<()> {
        let mut export = mend::Export::begin(dir, &self.name, &self.header, self.delimiter)?;
        let mut left_out: BTreeMap<String, LeftOut> = BTreeMap::new();
        let mut source = Source { config, file: self.file_id.into(), again: None };
        let (mut rows, mut after) = (0, 0);
        loop {
            let page = table.of_file(filter, self.file_id, after).await?;
            let Some(last) = page.last().and_then(|reject| reject.origin) else { break };
            after = last.row;
            for reject in page {
                let example = reject.to_string();
                let Some(origin) = reject.origin else { continue };
                match source.raw(reject, origin.row) {
                    Ok(raw) => {
                        export.row(origin, &raw)?;
                        rows += 1;
                    }
                    Err(why) => {
                        let example = Some(example);
                        let same = left_out.entry(why.clone());
                        same.or_insert(LeftOut { rows: 0, example, why }).rows += 1;
                    }
                }
            }
        }
        written.left_out.extend(left_out.into_values());
        if rows > 0 {
            written.files.push(WrittenFile { file: export.finish()?, rows });
            written.rows += rows;
        }
        Ok(())
    }
}

/// Where rows come from of which the table has not all: their file, opened when the first one is asked for.
struct Source<'a> {
    config: &'a Config,
    file: FileId,
    again: Option<Result<Again, String>>,
}

impl Source<'_> {
    /// The row as it stands in its file; the error is a sentence about why it is not known.
    fn raw(&mut self, reject: Reject, row: i64) -> Result<Vec<u8>, String> {
        // What is kept of a row that was rejected later is the message that brought it.
        if reject.stage == "producer" && !reject.truncated {
            return Ok(reject.raw);
        }
        let again = self.again.get_or_insert_with(|| {
            Again::open(self.config, self.file)
                .map_err(|error| format!("their file is needed, but {}", line(error)))
        });
        again.as_mut().map_err(|why| why.clone())?.row(row).map_err(line)
    }
}

fn line(error: AgainError) -> String {
    format!("{:#}", anyhow::Error::new(error))
}

impl Written {
    fn to_text(&self) -> String {
        let file = |one: &WrittenFile| format!("{}: {}", one.file.display(), count(one.rows, "row"));
        let mut lines: Vec<String> = self.files.iter().map(file).collect();
        for LeftOut { rows, example, why } in &self.left_out {
            let example = example.as_ref().map_or_else(String::new, |row| format!(" ({row})"));
            lines.push(format!("left out: {}{example}: {why}", count(*rows, "row")));
        }
        lines.push(match self.rows {
            0 if self.left_out.is_empty() => "no open rejects".to_owned(),
            0 => "nothing was written".to_owned(),
            _ => "edit the rows, keep the first column, then: millrace rejects retry FILE".to_owned(),
        });
        lines.join("\n")
    }
}
