//! How is a list read? A filter, an order, and a page of it that goes on where the last one ended.
//!
//! Pages go on by the key of the last row (not by counting), so that rows that come or go in between neither repeat nor
//! hide others. Only the names of columns, which are ours, become part of the statement; values are bound. Which lists
//! there are, each read model knows.

use std::fmt::Write;

use super::store::{Build, StoreError};
use super::table::{Cell, Row, Value};
use crate::fault::Fault;

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub limit: usize,
    /// The cells of the order's columns in the last row of the page before.
    pub after: Option<Vec<Value>>,
}

/// The rows of a page, and where the next one begins; `None` at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<R> {
    pub rows: Vec<R>,
    pub next: Option<Vec<Value>>,
}

/// The order of a list. The columns together must name one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    pub columns: &'static [&'static str],
    pub descending: bool,
}

impl Order {
    #[must_use]
    pub const fn ascending(columns: &'static [&'static str]) -> Self {
        Self { columns, descending: false }
    }

    #[must_use]
    pub const fn descending(columns: &'static [&'static str]) -> Self {
        Self { columns, descending: true }
    }
}

/// A list in the making.
#[derive(Clone, Debug)]
pub struct Select {
    conditions: String,
    binds: Vec<Value>,
}

impl Default for Select {
    fn default() -> Self {
        Self::new()
    }
}

impl Select {
    #[must_use]
    pub fn new() -> Self {
        Self { conditions: String::new(), binds: Vec::new() }
    }

    #[must_use]
    pub fn equal(self, column: &'static str, value: impl Cell) -> Self {
        self.compare(column, "=", value)
    }

    /// No condition where the filter was not given.
    #[must_use]
    pub fn maybe_equal(self, column: &'static str, value: Option<impl Cell>) -> Self {
        self.maybe(column, "=", value)
    }

    #[must_use]
    pub fn at_least(self, column: &'static str, value: Option<impl Cell>) -> Self {
        self.maybe(column, ">=", value)
    }

    #[must_use]
    pub fn at_most(self, column: &'static str, value: Option<impl Cell>) -> Self {
        self.maybe(column, "<=", value)
    }

    #[must_use]
    pub fn above(self, column: &'static str, value: Option<impl Cell>) -> Self {
        self.maybe(column, ">", value)
    }

    #[must_use]
    pub fn below(self, column: &'static str, value: Option<impl Cell>) -> Self {
        self.maybe(column, "<", value)
    }

    /// One of these; with none of them, nothing is found.
    #[must_use]
    pub fn one_of<C: Cell>(mut self, column: &'static str, values: impl IntoIterator<Item = C>) -> Self {
        let binds: Vec<String> = values.into_iter().map(|value| self.bind(value.into_value())).collect();
        if binds.is_empty() {
            self.and("1 = 0");
        } else {
            self.and(&format!("{column} IN ({})", binds.join(", ")));
        }
        self
    }

    /// Somewhere in the text. Column and text must both be folded, see `text::folded`.
    #[must_use]
    pub fn contains(mut self, column: &'static str, text: Option<&str>) -> Self {
        let Some(text) = text else { return self };
        let escaped: String =
            text.chars().flat_map(|c| ['\\'].into_iter().filter(move |_| "\\%_".contains(c)).chain([c])).collect();
        let bind = self.bind(Value::Text(format!("%{escaped}%").into()));
        self.and(&format!("{column} LIKE {bind} ESCAPE '\\'"));
        self
    }

    fn maybe(self, column: &'static str, operator: &'static str, value: Option<impl Cell>) -> Self {
        match value {
            Some(value) => self.compare(column, operator, value),
            None => self,
        }
    }

    fn compare(mut self, column: &'static str, operator: &'static str, value: impl Cell) -> Self {
        let bind = self.bind(value.into_value());
        self.and(&format!("{column} {operator} {bind}"));
        self
    }

    fn and(&mut self, condition: &str) {
        self.conditions.push_str(if self.conditions.is_empty() { " WHERE " } else { " AND " });
        self.conditions.push_str(condition);
    }

    fn bind(&mut self, value: Value) -> String {
        self.binds.push(value);
        format!("${}", self.binds.len())
    }

    /// The statement for one row more than the page has, which tells whether there is a next one.
    fn statement<R: Row>(mut self, order: Order, page: &Page) -> (String, Vec<Value>) {
        let columns = order.columns.join(", ");
        if let Some(after) = &page.after {
            let binds: Vec<String> = after.iter().map(|value| self.bind(value.clone())).collect();
            let side = if order.descending { "<" } else { ">" };
            self.and(&format!("({columns}) {side} ({})", binds.join(", ")));
        }
        let all: Vec<&str> = R::TABLE.columns.iter().map(|column| column.name).collect();
        let way = if order.descending { " DESC" } else { "" };
        let ordered: Vec<String> = order.columns.iter().map(|column| format!("{column}{way}")).collect();
        let mut sql = format!("SELECT {} FROM @.{}", all.join(", "), R::TABLE.name);
        let _ = write!(sql, "{} ORDER BY {} LIMIT {}", self.conditions, ordered.join(", "), page.limit + 1);
        (sql, self.binds)
    }

    /// Reads the page.
    pub async fn page<R: Row>(self, build: &dyn Build, order: Order, page: &Page) -> Result<Listed<R>, Fault> {
        // A cursor is the client's to change: one of another shape finds nothing rather than an error of the engine.
        let fits = page.after.as_ref().is_none_or(|after| fits::<R>(order, after));
        if !fits {
            return Ok(Listed { rows: Vec::new(), next: None });
        }
        let (sql, binds) = self.statement::<R>(order, page);
        let mut found = build.query(&sql, &binds).await?;
        let more = found.len() > page.limit;
        found.truncate(page.limit);
        let place = |name: &&str| R::TABLE.columns.iter().position(|column| column.name == *name);
        let next = found.last().filter(|_| more).map(|last| {
            order.columns.iter().filter_map(|name| place(name).and_then(|at| last.get(at)).cloned()).collect()
        });
        Ok(Listed { rows: rows(&found)?, next })
    }
}

/// Does a cursor have the shape of the order's columns?
fn fits<R: Row>(order: Order, after: &[Value]) -> bool {
    use super::table::Kind;
    let kind = |name: &str| R::TABLE.columns.iter().find(|column| column.name == name).map(|column| column.kind);
    after.len() == order.columns.len()
        && order.columns.iter().zip(after).all(|(name, value)| match value {
            Value::Int(_) => kind(name) == Some(Kind::Int),
            Value::Text(_) => kind(name) == Some(Kind::Text),
            Value::Null => false,
        })
}

/// One row by its key.
pub async fn one<R: Row>(build: &dyn Build, key: &[Value]) -> Result<Option<R>, Fault> {
    let columns = |some: &[super::table::Column]| some.iter().map(|c| c.name).collect::<Vec<_>>();
    let conditions: Vec<String> = columns(&R::TABLE.columns[..R::TABLE.key])
        .iter()
        .enumerate()
        .map(|(number, name)| format!("{name} = ${}", number + 1))
        .collect();
    let all = columns(R::TABLE.columns).join(", ");
    let sql = format!("SELECT {all} FROM @.{} WHERE {}", R::TABLE.name, conditions.join(" AND "));
    let found = build.query(&sql, key).await?;
    Ok(rows(&found)?.pop())
}

/// Cells as rows.
pub fn rows<R: Row>(found: &[Vec<Value>]) -> Result<Vec<R>, Fault> {
    found.iter().map(|cells| R::from_cells(cells)).collect::<Result<_, _>>().map_err(|m| Fault::internal(m.to_string()))
}

impl From<super::table::Misfit> for StoreError {
    fn from(misfit: super::table::Misfit) -> Self {
        Self::Refused(misfit.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projections::table::table;

    table! {
        struct Sample in "samples" {
            key { id: String }
            at: i64,
            name: String,
        }
    }

    const ORDER: Order = Order::descending(&["at", "id"]);

    #[test]
    fn a_statement_has_the_filters_that_were_given_and_binds_what_came_from_outside() {
        let page = Page { limit: 2, after: Some(vec![Value::Int(5), Value::Text("x".into())]) };
        let select = Select::new()
            .equal("name", "a'b".to_owned())
            .maybe_equal("id", None::<String>)
            .at_least("at", Some(3_i64))
            .contains("name", Some("50%_\\"));
        let (sql, binds) = select.statement::<Sample>(ORDER, &page);
        assert_eq!(
            sql,
            "SELECT id, at, name FROM @.samples WHERE name = $1 AND at >= $2 AND name LIKE $3 ESCAPE '\\' \
             AND (at, id) < ($4, $5) ORDER BY at DESC, id DESC LIMIT 3"
        );
        let text = |text: &str| Value::Text(text.into());
        assert_eq!(binds, [text("a'b"), Value::Int(3), text("%50\\%\\_\\\\%"), Value::Int(5), text("x")]);
        let (sql, binds) =
            Select::new().statement::<Sample>(Order::ascending(&["id"]), &Page { limit: 9, after: None });
        assert_eq!(sql, "SELECT id, at, name FROM @.samples ORDER BY id LIMIT 10");
        assert!(binds.is_empty());
        let select = Select::new().equal("at", 7_i64).one_of("id", ["a".to_owned(), "b".to_owned()]);
        assert_eq!((select.conditions.as_str(), select.binds.len()), (" WHERE at = $1 AND id IN ($2, $3)", 3));
        assert_eq!(Select::new().one_of("id", Vec::<String>::new()).conditions, " WHERE 1 = 0");
    }

    #[test]
    fn a_cursor_of_another_shape_is_told() {
        let fit = |after: &[Value]| fits::<Sample>(ORDER, after);
        assert!(fit(&[Value::Int(1), Value::Text("a".into())]));
        assert!(!fit(&[Value::Text("a".into()), Value::Int(1)]));
        assert!(!fit(&[Value::Int(1)]));
        assert!(!fit(&[Value::Int(1), Value::Null]));
    }
}
