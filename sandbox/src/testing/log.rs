//! What is logged while a test runs, for a test that asserts what an operator would read.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::marker::PhantomData;
use std::sync::Once;
use std::thread;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::set_global_default;
use tracing::{Event, Level, Metadata, Subscriber};

/// Libraries speak through the lines of their callers.
const OURS: [&str; 5] = ["common", "producer", "consumer", "sandbox", "millrace"];

thread_local! {
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// The lines of level `info` and above that this thread logs, until it is dropped. A test whose runtime has one thread
/// sees all that its tasks log.
#[derive(Debug)]
pub struct Log {
    /// Of one thread.
    _stays: PhantomData<*const ()>,
}

impl Log {
    /// Listens from now on.
    pub fn listen() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| set_global_default(ByThread).expect("nobody else listens in a test process"));
        LINES.replace(Some(Vec::new()));
        Self { _stays: PhantomData }
    }

    /// The lines that hold these words, each as `LEVEL message field=value …`.
    pub fn lines(&self, words: &str) -> Vec<String> {
        let is_wanted = |line: &&String| line.contains(words);
        LINES.with_borrow(|lines| lines.iter().flatten().filter(is_wanted).cloned().collect())
    }
}

impl Drop for Log {
    #[expect(clippy::print_stderr, reason = "a test that fails shows what was logged")]
    fn drop(&mut self) {
        let lines = LINES.take().unwrap_or_default();
        if thread::panicking() {
            eprintln!("{}", lines.join("\n"));
        }
    }
}

/// The subscriber of the whole process; one of a thread would miss lines that another thread was the first to meet.
#[derive(Debug)]
struct ByThread;

impl Subscriber for ByThread {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO && OURS.iter().any(|name| metadata.target().starts_with(name))
    }

    fn event(&self, event: &Event<'_>) {
        let is_heard = LINES.try_with(|lines| lines.borrow().is_some());
        if is_heard.unwrap_or_default() {
            let mut line = Line(event.metadata().level().to_string());
            event.record(&mut line);
            LINES.with_borrow_mut(|lines| lines.get_or_insert_default().push(line.0));
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // A string takes every write.
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
