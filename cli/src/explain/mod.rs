//! `millrace explain`: the history of one row.

mod find; // words -> an event or a row of a file
pub(crate) mod row_lookup; // a row of a file, read again
mod explanation;
mod render;

use anyhow::{Context, bail};
use common::config::Config;
use common::origin::Row;
use common::{Exit, Origin, print_json, print_line, print_text};
use sandbox::Services;
use serde_json::json;
use uuid::Uuid;

use crate::{services, verify};
use explanation::{Explanation, RowOutcome};
use find::{FileFacts, Meant};
use render::render;

/// Explains the row that is `asked` for.
pub(crate) async fn run(mut config: Config, asked: &str, json: bool) -> anyhow::Result<Exit> {
    let needed = Services { nats: false, postgres: true };
    services::refuse_empty(&config, needed)?;
    let own = services::provide(&mut config, needed).await?;
    let explaining = async {
        services::reach(&config, needed).await?;
        explain(&config, asked, json).await
    };
    services::end_with(own, Box::pin(explaining)).await
}

async fn explain(config: &Config, asked: &str, json: bool) -> anyhow::Result<Exit> {
    let url = config.database.url.as_ref().context("there is no database")?;
    let known = verify::checkpoints(config);
    let explanation = match find::find(asked, url, &known).await? {
        Meant::Nothing => bail!(nothing(asked)),
        Meant::OneOfEvents(events) => return choose_event(asked, &events, json),
        Meant::OneOf(files, row) => return choose(asked, &files, row, json),
        Meant::Row(file, row) => {
            let origin = Origin { file: file.file_id.into(), row };
            let history = ledger::row_history::of_origin(url, origin).await?;
            Explanation::of(config, Some(*file), Some(origin), history).await?
        }
        Meant::Event(id) => {
            let Some((origin, history)) = ledger::row_history::of_event(url, id).await? else {
                bail!(nothing(asked))
            };
            let file = match origin {
                Some(origin) => find::file(origin.file.get(), url, &known).await?,
                None => None,
            };
            Explanation::of(config, file, origin, history).await?
        }
    };
    if json {
        print_json(&explanation)?;
    } else {
        print_text(render(&explanation));
    }
    let is_there =
        !matches!(explanation.outcome, RowOutcome::InFlight | RowOutcome::Missing | RowOutcome::NoSuchRow);
    Ok(if is_there { Exit::Ok } else { Exit::Failed })
}

fn nothing(asked: &str) -> String {
    format!(
        "\"{asked}\" is neither the id of an event nor FILE:ROW of a file that is known; a rejected row has no event id"
    )
}

/// Shows the events that their files call so.
fn choose_event(asked: &str, events: &[(Uuid, Option<Origin>)], json: bool) -> anyhow::Result<Exit> {
    let origin = |origin: &Option<Origin>| origin.map(|origin| origin.to_string());
    if json {
        let events = events.iter().map(|(id, at)| json!({ "event_id": id, "origin": origin(at) }));
        print_json(&json!({ "choices": events.collect::<Vec<_>>() }))?;
        return Ok(Exit::Failed);
    }
    print_line(format_args!("{} events are called {asked}; write one of these:", events.len()));
    for (id, at) in events {
        print_line(format_args!("  {id}  {}", origin(at).unwrap_or_default()));
    }
    Ok(Exit::Failed)
}

/// Shows the files that could be meant.
fn choose(asked: &str, files: &[FileFacts], row: Row, json: bool) -> anyhow::Result<Exit> {
    if json {
        print_json(&json!({ "row": row, "choices": files }))?;
        return Ok(Exit::Failed);
    }
    print_line(format_args!(
        "{} files could be meant by {asked}; write one of these, the newest first:",
        files.len()
    ));
    for file in files {
        let since = file.created_at.map(|at| format!(", since {}", at.format("%Y-%m-%d %H:%M:%S UTC")));
        print_line(format_args!(
            "  {:<24} {}, {} rows, {}{}",
            format!("{}:{row}", file.file_id),
            file.file,
            file.rows_read,
            file.state.as_deref().unwrap_or("not in the database"),
            since.unwrap_or_default()
        ));
    }
    Ok(Exit::Failed)
}
