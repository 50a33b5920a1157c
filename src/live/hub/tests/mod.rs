//! Does every watcher get the log, filtered, from where it starts: no gap, no duplicate, in order?
//!
//! `world` is a node that follows a log, `facts` is what may happen in it, `seen` is what a client reads.

mod counters;
mod facts;
mod resume;
mod seen;
mod streams;
mod world;
