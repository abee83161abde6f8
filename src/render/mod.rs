//! What a person or a program reads: one module for each form of the report.

pub mod annotations;
pub mod explain;
pub mod html;
pub mod item;
pub mod json;
pub mod markdown;
pub mod session;
pub mod text;
