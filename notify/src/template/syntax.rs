//! The tree of a parsed template. Every field, helper and date pattern in the tree is known to be valid.

use super::date_pattern::DatePattern;
use crate::compare::Comparison;
use crate::vocabulary::Vocabulary;
use serde_json::Value;

#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(String),
    /// A value that is escaped for the output context.
    Value(Expression),
    /// The text of a helper that already fits the output context.
    Verbatim(Expression),
    If {
        condition: Expression,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Each {
        list: Expression,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    With {
        value: Expression,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
}

/// An expression. Scopes are counted outward, from 0 for the innermost block.
#[derive(Clone, Debug)]
pub(super) enum Expression {
    Literal(Value),
    /// A path from the value of a scope.
    Path(usize, Vec<String>),
    /// A variable of a scope, such as `@index`.
    Variable(usize, Variable),
    Compare(Comparison, ComparedAs, Box<[Expression; 2]>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Box<Expression>),
    Lookup(Box<[Expression; 2]>),
    Len(Box<Expression>),
    Default(Vec<Expression>),
    Join(Box<Expression>, String),
    Json(Box<Expression>),
    UrlEncode(Box<Expression>),
    SeverityLabel(Box<Expression>),
    TlpLabel(Box<Expression>),
    Date(Box<Expression>, DatePattern),
}

/// A variable that `{{#each}}` sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    Index,
    Key,
    First,
    Last,
    /// The key in an object, the index in a list.
    KeyOrIndex,
}

/// The type as which two values are compared.
#[derive(Clone, Copy, Debug)]
pub(super) enum ComparedAs {
    Plain,
    Rank(Vocabulary),
    Time,
}
