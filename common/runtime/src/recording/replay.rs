//! The subcommand `replay` of the binaries.

use std::fmt::{Debug, Write as _};
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use vixen_core::recording::{
    Ending, Header, Listener, Moment, Player, Recording, RecordingError, Replay, Summary, Verdict,
};
use vixen_core::tier::Tier;

use super::lines::{has_word, shown, time};
use crate::telemetry::{PrintError, print, remark};

/// Give a recording to this program's state machines again, and show what they do.
///
/// A node that was started with --record FILE has written there what its machines were given. They have
/// no clock and no randomness of their own: given the same they do the same, step by step. Each input is a
/// line with its number, its time and its machine, and its effects are below it. Nothing is sent or stored.
///
/// What each step owes is compared with what the running node had. The first input with other effects
/// ends the replay, and is shown: another version, or a machine that is not deterministic, which is a bug.
///
/// Replay what you trust: a recording that somebody made up is given to the machines as well.
#[derive(Clone, Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Exit codes:
  0  all that was replayed does as it had done; a node that was killed may have left the end of an entry
     unwritten, and the last line says so
  1  an input has other effects than it had: the last line says which one
  2  the file is no recording of a node of this tier, or damaged: the last line says from where on"
)]
pub struct ReplayArgs {
    /// The recording.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Show inputs from this one on. Those before are replayed, and not shown.
    #[arg(long, value_name = "N", default_value_t = 1)]
    from: u64,
    /// Replay up to this input.
    #[arg(long, value_name = "N")]
    to: Option<u64>,
    /// Show inputs with this word in them, or in one of their effects: a machine, an input, the name of a message, a
    /// segment, a topic.
    #[arg(long, value_name = "WORD")]
    only: Option<String>,
    /// Show inputs as well that only say that time has passed, and that have led to nothing.
    #[arg(long)]
    all: bool,
    /// Show all of each input and effect, and not the beginning: payloads may be long.
    #[arg(long)]
    full: bool,
    /// Show nothing but how it ends, and the input that has other effects, if one has.
    #[arg(long, conflicts_with_all = ["only", "full", "all"])]
    quiet: bool,
}

/// Everything as it was.
const AGREES: u8 = 0;
/// Something was otherwise.
const DIVERGES: u8 = 1;
/// It cannot be read, or not to its end.
const UNREADABLE: u8 = 2;

/// Why a file is not replayed.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error(transparent)]
    Recording(#[from] RecordingError),
    #[error("is empty: there was no room for it, or the node was killed as it began")]
    Empty,
    #[error("is a recording of {}: replay it with `vixen-{of} replay`", of.one())]
    OfAnotherTier { of: Tier },
}

impl ReplayArgs {
    /// Replays, and says how it went. Blocking.
    #[must_use]
    pub fn run(&self, tier: Tier, player: &mut dyn Player) -> ExitCode {
        match self.open(tier) {
            Ok(recording) => self.replay(recording, player).into(),
            Err(error) => {
                let error = with_causes(&error);
                remark(&format!("vixen-{tier}: {} {error}", self.file.display()));
                UNREADABLE.into()
            }
        }
    }

    fn open(&self, tier: Tier) -> Result<Recording<BufReader<File>>, OpenError> {
        let file = File::open(&self.file).map_err(RecordingError::from)?;
        if file.metadata().is_ok_and(|file| file.is_file() && file.len() == 0) {
            return Err(OpenError::Empty);
        }
        let recording = Recording::open(BufReader::new(file))?;
        let of = recording.header().tier;
        if of == tier { Ok(recording) } else { Err(OpenError::OfAnotherTier { of }) }
    }

    fn replay(&self, recording: Recording<BufReader<File>>, player: &mut dyn Player) -> u8 {
        let header = recording.header().clone();
        warn_of_version(&header);
        let mut shown = Shown::new(self);
        if !self.quiet {
            shown.text = heading(&header);
        }
        let summary = Replay::new(recording, player, Instant::now()).run(self.to, &mut shown);
        if matches!(summary.verdict, Verdict::Diverges { .. }) {
            shown.show_last();
        }
        shown.print();
        if let Some(why) = self.why_nothing(shown.inputs_shown, summary.inputs) {
            remark(&why);
        }
        let last = print(&format!("{}\n", last_line(&summary))).err();
        match shown.failed.or(last) {
            None => code_of(&summary),
            Some(error) => {
                remark(&format!("vixen-{}: {}", header.tier, with_causes(&error)));
                UNREADABLE
            }
        }
    }
}

impl ReplayArgs {
    /// Why no input was shown, where that may not be what was wanted.
    fn why_nothing(&self, shown: u64, inputs: u64) -> Option<String> {
        if self.quiet || shown > 0 {
            return None;
        }
        if self.to.is_some_and(|to| to < self.from) {
            return Some("nothing is shown: --to is before --from".to_owned());
        }
        if self.from > inputs {
            return Some(format!(
                "nothing is shown: these are {inputs} inputs, and --from is beyond them"
            ));
        }
        let word = self.only.as_ref()?;
        Some(format!("nothing is shown: no input has the word \"{word}\", and no effect of one"))
    }
}

fn heading(header: &Header) -> String {
    let begun = time(Moment { wall: header.begun, since_ns: 0 });
    let Header { tier, product, node, .. } = header;
    format!("{node}, {} of vixen {product}, recorded from {begun} on\n", tier.one())
}

fn warn_of_version(header: &Header) {
    let own = env!("CARGO_PKG_VERSION");
    if header.product != own {
        remark(&format!(
            "warning: recorded by vixen {}, and replayed by {own}, which may do otherwise",
            header.product
        ));
    }
}

fn code_of(summary: &Summary) -> u8 {
    match summary.verdict {
        Verdict::Diverges { .. } => DIVERGES,
        Verdict::Agrees if summary.ending.is_natural() => AGREES,
        Verdict::Agrees => UNREADABLE,
    }
}

/// How it went, in one line.
pub(super) fn last_line(summary: &Summary) -> String {
    let Summary { inputs, effects, verdict, ending } = summary;
    let taken = format!("{inputs} inputs, {effects} effects");
    if let Verdict::Diverges { input, recorded, replayed } = verdict {
        return format!(
            "DIVERGES at input {input}: {} effects ({:016x}) were recorded, and these are {} \
             ({:016x}); {taken} until then",
            recorded.count, recorded.digest, replayed.count, replayed.digest
        );
    }
    let ending = match ending {
        Ending::Said(reason) => format!("the recording ends here: {}", reason.told()),
        Ending::Enough => "as far as was asked for".to_owned(),
        Ending::Cut => {
            "the recording ends without a word: the node was killed, or runs on".to_owned()
        }
        Ending::InStep => {
            "the recording ends within the last input: the node ended in that step, or was killed"
                .to_owned()
        }
        Ending::Broken(error) => format!("the recording {}", with_causes(error)),
    };
    format!("agrees: {taken}; {ending}")
}

/// An error with its causes, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // A transparent one says what its cause says.
        if !text.ends_with(&error.to_string()) {
            let _in_memory = write!(text, ": {error}");
        }
        cause = error.source();
    }
    text
}

/// Prints what is to be shown: an input before its step, which may end in a panic.
struct Shown<'a> {
    args: &'a ReplayArgs,
    text: String,
    /// Whether the last input is shown.
    is_shown: bool,
    /// Whether one of its effects may let it be shown.
    is_within: bool,
    /// The last input with its effects, where it is not shown: it may be the one that has others.
    last: String,
    inputs_shown: u64,
    failed: Option<PrintError>,
}

impl<'a> Shown<'a> {
    const fn new(args: &'a ReplayArgs) -> Self {
        Self {
            args,
            text: String::new(),
            is_shown: false,
            is_within: false,
            last: String::new(),
            inputs_shown: 0,
            failed: None,
        }
    }

    /// Whether this is what is asked for, by itself.
    fn is_wanted(&self, machine: &str, input: &dyn Debug) -> bool {
        match &self.args.only {
            Some(word) => has_word(&format!("{machine} {}", shown(input, true)), word),
            None => self.args.all || !is_of_time(&shown(input, false)),
        }
    }

    fn take(&mut self, number: u64, machine: &str, at: Moment, input: &dyn Debug) {
        self.last.clear();
        self.is_within = !self.args.quiet && number >= self.args.from;
        let input_line = shown(input, self.args.full);
        let _in_memory = writeln!(self.last, "#{number} {} {machine} {input_line}", time(at));
        self.is_shown = false;
        if self.is_within && self.is_wanted(machine, input) {
            self.show();
        }
    }

    /// Shows the last input, and its effects so far.
    fn show(&mut self) {
        self.is_shown = true;
        self.inputs_shown += 1;
        self.show_last();
    }

    fn show_last(&mut self) {
        self.text.push_str(&std::mem::take(&mut self.last));
    }

    fn print(&mut self) {
        let text = std::mem::take(&mut self.text);
        if !text.is_empty() && self.failed.is_none() {
            self.failed = print(&text).err();
        }
    }
}

impl Listener for Shown<'_> {
    fn begins(&mut self, machine: &'static str, at: Moment) {
        if !self.args.quiet {
            let _in_memory = writeln!(self.text, "{} {machine} begins", time(at));
        }
    }

    fn input(&mut self, number: u64, machine: &'static str, at: Moment, input: &dyn Debug) {
        self.take(number, machine, at, input);
        self.print();
    }

    fn effect(&mut self, kind: &'static str, effect: &dyn Debug) {
        let line = shown(effect, self.args.full);
        let text = if self.is_shown { &mut self.text } else { &mut self.last };
        let _in_memory = writeln!(text, "    {kind} {line}");
        let is_wanted = |word: &String| has_word(&format!("{kind} {}", shown(effect, true)), word);
        if self.is_within && !self.is_shown && self.args.only.as_ref().is_none_or(is_wanted) {
            self.show();
        }
    }
}

/// Whether an input only says that time has passed.
fn is_of_time(input: &str) -> bool {
    let name = input.split(|c: char| !c.is_ascii_alphanumeric()).next();
    matches!(name, Some("Tick" | "Turn" | "Flush"))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        replay: ReplayArgs,
    }

    /// What would be printed of three inputs, where the last has other effects than it had.
    fn text(words: &[&str]) -> String {
        let words = [&["replay", "file"], words].concat();
        let args = Command::try_parse_from(words).expect("arguments").replay;
        let mut shown = Shown::new(&args);
        for number in 1..=3 {
            shown.take(number, "vote", Moment::default(), &Retry(number));
            shown.effect("send", &number);
        }
        shown.show_last();
        shown.text.replace(" 1970-01-01T00:00:00.000Z vote", "")
    }

    #[derive(Debug)]
    #[expect(dead_code, reason = "shown by its debug text")]
    struct Retry(u64);

    #[derive(Debug)]
    struct Tick;

    /// What is shown of a tick that leads to nothing, and of one that leads to something.
    fn ticks(words: &[&str]) -> String {
        let words = [&["replay", "file"], words].concat();
        let args = Command::try_parse_from(words).expect("arguments").replay;
        let mut shown = Shown::new(&args);
        shown.take(1, "vote", Moment::default(), &Tick);
        shown.take(2, "vote", Moment::default(), &Tick);
        shown.effect("send", &"TrimAdvanceSegment");
        shown.effect("send", &"other");
        shown.text.replace(" 1970-01-01T00:00:00.000Z vote", "")
    }

    #[test]
    fn what_only_says_that_time_has_passed_is_shown_with_what_it_leads_to() {
        let second = "#2 Tick\n    send \"TrimAdvanceSegment\"\n    send \"other\"\n";
        assert_eq!(ticks(&[]), second);
        assert_eq!(ticks(&["--all"]), format!("#1 Tick\n{second}"));
        assert_eq!(ticks(&["--only", "trimadvancesegment"]), second, "an effect has it");
        assert_eq!(ticks(&["--only", "Prepare"]), "");
    }

    #[test]
    fn it_is_told_why_nothing_is_shown() {
        let why = |words: &[&str], shown, inputs| {
            let words = [&["replay", "file"], words].concat();
            let args = Command::try_parse_from(words).expect("arguments").replay;
            args.why_nothing(shown, inputs).unwrap_or_default()
        };
        assert!(why(&["--only", "nonsense"], 0, 9).contains("\"nonsense\""));
        assert!(why(&["--from", "10"], 0, 9).contains("these are 9 inputs"));
        assert!(why(&["--from", "5", "--to", "3"], 0, 9).contains("--to is before --from"));
        assert_eq!(why(&["--only", "some"], 1, 9), "");
        assert_eq!(why(&["--quiet", "--from", "10"], 0, 9), "");
    }

    #[test]
    fn an_input_with_other_effects_is_shown_once_and_in_any_case() {
        assert_eq!(text(&["--quiet"]), "#3 Retry(3)\n    send 3\n");
        assert_eq!(text(&["--only", "prepare"]), "#3 Retry(3)\n    send 3\n");
        assert_eq!(text(&["--from", "3"]), "#3 Retry(3)\n    send 3\n");
        assert_eq!(text(&["--only", "2"]), "#2 Retry(2)\n    send 2\n#3 Retry(3)\n    send 3\n");
        assert_eq!(text(&["--from", "2"]), "#2 Retry(2)\n    send 2\n#3 Retry(3)\n    send 3\n");
    }
}
