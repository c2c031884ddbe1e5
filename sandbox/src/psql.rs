use std::path::PathBuf;

use crate::aside::aside;
use crate::locate::{postgres, search_path};
use crate::progress::Progress;
use crate::{Error, Options, state};

/// The psql that fits: next to the PostgreSQL in use, else an installed one, else a fetched one.
pub async fn psql(options: &Options) -> Result<PathBuf, Error> {
    let options = options.clone();
    aside(move || {
        let in_use = state::postgres_bin(&options.data_dir);
        let installed = || search_path().into_iter().find(|dir| dir.join("psql").is_file());
        let bin = match in_use.or_else(|| options.postgres_bin.clone()).or_else(installed) {
            Some(bin) => bin,
            None => postgres(&options, None, &Progress::default())?.bin,
        };
        Ok(bin.join("psql"))
    })
    .await
}
