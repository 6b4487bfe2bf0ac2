//! The pages of the pools' events, in the coordinator's database: a row has many events, so that little is written and read for
//! each.

use serde::Deserialize;
use serde_json::Value;
use worker::SqlStorageValue;

use super::sql::{Database, StoreError, from_json, to_json, unreadable, whole};
use crate::config::resolved::PoolName;
use crate::core::journal::{Change, Page, PageKey};

const EVENT_PAGES: &str = "event_pages";

/// How the table is made.
pub(super) const TABLE: &str = "CREATE TABLE event_pages (
    pool      TEXT NOT NULL,
    first     INTEGER NOT NULL,
    last      INTEGER NOT NULL,
    count     INTEGER NOT NULL,
    forgotten INTEGER NOT NULL,
    heard     TEXT NOT NULL,
    events    TEXT NOT NULL,
    PRIMARY KEY (pool, first)
) WITHOUT ROWID";

#[derive(Debug, Deserialize)]
struct PageColumns {
    pool: String,
    first: f64,
    last: f64,
    count: f64,
    forgotten: f64,
    heard: String,
    events: String,
}

impl PageColumns {
    fn of(pool: &PoolName, page: &Page) -> Result<Self, StoreError> {
        let Page { first, last, count, forgotten, heard, events } = page;
        // There are less than 2^53 of anything here.
        let number = |value: &u64| *value as f64;
        Ok(Self {
            pool: pool.to_string(),
            first: number(first),
            last: number(last),
            count: number(count),
            forgotten: number(forgotten),
            heard: to_json(EVENT_PAGES, heard)?,
            // They are JSON already.
            events: format!("[{}]", events.join(",")),
        })
    }

    fn into_values(self) -> Vec<SqlStorageValue> {
        let Self { pool, first, last, count, forgotten, heard, events } = self;
        let numbers = [first, last, count, forgotten].map(SqlStorageValue::from);
        std::iter::once(pool.into()).chain(numbers).chain([heard.into(), events.into()]).collect()
    }

    fn into_page(self) -> Result<(PoolName, Page), StoreError> {
        let Self { pool, first, last, count, forgotten, heard, events } = self;
        let number = |value| whole(EVENT_PAGES, value);
        let pool = PoolName::try_from(pool).map_err(|error| unreadable(EVENT_PAGES, &error))?;
        let events: Vec<Value> = from_json(EVENT_PAGES, &events)?;
        let page = Page {
            first: number(first)?,
            last: number(last)?,
            count: number(count)?,
            forgotten: number(forgotten)?,
            heard: from_json(EVENT_PAGES, &heard)?,
            events: events.iter().map(ToString::to_string).collect(),
        };
        Ok((pool, page))
    }
}

/// All pages, of each pool in order. Of all but each pool's last, the events stay where they are.
pub(super) fn load(database: &Database) -> Result<Vec<(PoolName, Page)>, StoreError> {
    const SELECT: &str = "SELECT pool, first, last, count, forgotten, heard,
               iif(first = (SELECT max(newer.first) FROM event_pages AS newer WHERE newer.pool = event_pages.pool),
                   events, '[]') AS events
        FROM event_pages ORDER BY pool, first";
    database.query::<PageColumns>(EVENT_PAGES, SELECT)?.map(|row| row?.into_page()).collect()
}

/// The events of a page; none when there is no such page.
///
/// # Errors
///
/// When the database refuses, or the page cannot be read.
pub fn load_events(database: &Database, (pool, first): &PageKey) -> Result<Vec<Value>, StoreError> {
    #[derive(Deserialize)]
    struct EventsColumn {
        events: String,
    }
    const SELECT: &str = "SELECT events FROM event_pages WHERE pool = ? AND first = ?";
    let values = vec![pool.to_string().into(), (*first as f64).into()];
    let mut rows = database.rows::<EventsColumn>(EVENT_PAGES, SELECT, values)?;
    rows.next().map_or(Ok(Vec::new()), |row| from_json(EVENT_PAGES, &row?.events))
}

pub(super) fn save(database: &Database, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::Put(pool, page) => database.exec(
            "INSERT OR REPLACE INTO event_pages (pool, first, last, count, forgotten, heard, events)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            PageColumns::of(pool, page)?.into_values(),
        ),
        Change::Drop((pool, first)) => database.exec(
            "DELETE FROM event_pages WHERE pool = ? AND first = ?",
            vec![pool.to_string().into(), (*first as f64).into()],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::ShardIndex;

    #[test]
    fn a_page_survives_its_columns() {
        let pool = PoolName::try_from("python".to_owned()).unwrap();
        let largest = 9_007_199_254_740_991;
        let pages = [
            Page {
                first: 1,
                last: 1,
                count: 1,
                events: vec![r#"{"kind":"gone","seq":1}"#.to_owned()],
                ..Page::default()
            },
            Page {
                first: largest,
                last: largest,
                count: 2,
                forgotten: largest,
                heard: [(ShardIndex(0), 1), (ShardIndex(255), largest)].into(),
                events: vec![r#"{"message":"ä \"]}, [","seq":1}"#.to_owned(), "{}".to_owned()],
            },
        ];
        for page in pages {
            let columns = PageColumns::of(&pool, &page).unwrap();
            assert_eq!(columns.into_page().unwrap(), (pool.clone(), page));
        }
    }

    #[test]
    fn what_no_code_wrote_is_an_error_that_names_the_table() {
        let breaks: [fn(&mut PageColumns); 4] = [
            |columns| columns.pool = "no pool".to_owned(),
            |columns| columns.last = -1.0,
            |columns| columns.heard = "[]".to_owned(),
            |columns| columns.events = "{".to_owned(),
        ];
        for breaks in breaks {
            let pool = PoolName::try_from("python".to_owned()).unwrap();
            let mut columns = PageColumns::of(&pool, &Page::default()).unwrap();
            breaks(&mut columns);
            let error = columns.into_page().unwrap_err().to_string();
            assert!(error.contains("event_pages"), "{error}");
        }
    }
}
