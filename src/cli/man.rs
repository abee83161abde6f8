//! `reshake man`: one manual page for all commands, made of the argument types.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_mangen::Man;

use super::args::Cli;
use super::{Done, Status, print};

pub(super) fn run() -> Done {
    print(page)?;
    Ok(Status::Analysed)
}

/// What every roff document of clap_mangen begins with: an apostrophe that is one everywhere.
const DEFINITIONS: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// How it is called; clap does not know that the command may be left out.
const SYNOPSIS: &str = r".SH SYNOPSIS
\fBreshake\fR [\fBanalyze\fR] [\fIOPTIONS\fR] \fIFILE\fR...
.br
\fBreshake live\fR [\fIOPTIONS\fR] \fB\-i\fR \fINAME\fR | \fB\-\fR
.br
\fBreshake record\fR [\fIOPTIONS\fR] \fB\-\-\fR \fICOMMAND\fR...
.br
\fBreshake interfaces\fR
.br
\fBreshake session\fR [\fIOPTIONS\fR] \fIID\fR \fIFILE\fR...
.br
\fBreshake what-if\fR [\fIOPTIONS\fR] \fB\-\-backends\fR \fIN\fR \fIFILE\fR...
.br
\fBreshake check\fR [\fIRULES\fR] [\fIOPTIONS\fR] \fIFILE\fR...
.br
\fBreshake diff\fR [\fIOPTIONS\fR] \fIBEFORE\fR \fIAFTER\fR
.br
\fBreshake wireshark\fR \fB\-\-install\fR | \fB\-\-remove\fR [\fB\-\-user\fR \fIDIR\fR]
.br
\fBreshake explain\fR [\fINAME\fR] [\fB\-\-format\fR \fIFORM\fR]
.br
\fBreshake schema\fR [\fB\-\-of\fR \fIDOCUMENT\fR] [\fB\-\-strict\fR]
.br
\fBreshake completions\fR \fISHELL\fR
.br
\fBreshake man\fR
";

/// Sections that no argument can tell.
const MORE: &str = r#".SH "EXIT STATUS"
.TP
0
The input was analysed, whatever it shows; also when the reader of the output goes away.
.TP
1
\fBcheck\fR found a violated rule.
.TP
2
Wrong usage, or rules that cannot be understood.
.TP
3
An input could not be read, or the output could not be written. Unreadable inputs are named on standard error, readable ones are still reported. A damaged or cut file is analysed as far as it goes, with status 0; with \fB\-\-strict\fR, with 3.
.SH FILES
Captures are read as pcap (microseconds or nanoseconds, either byte order) or pcapng, plain or compressed with gzip or zstd; the content decides, not the name. Nothing is written but the report, and nothing is configured by files but the rules of \fBcheck \-\-rules\fR.
.SH ENVIRONMENT
.TP
SSLKEYLOGFILE
Set by \fBrecord\fR for its command; where it is set already, the file that it names is used. Read by others only with \fB\-\-keylog\-env\fR.
.TP
NO_COLOR
When set and not empty, \fB\-\-color=auto\fR uses no colour.
.SH EXAMPLES
.TP
What resumed in this capture, and why not the rest:
reshake farm.pcapng
.TP
Rotated captures as one timeline, every connection:
reshake analyze \-\-all ring\-*.pcapng.gz
.TP
Straight from another machine, stopped after 100,000 packets:
ssh host tcpdump \-U \-s 0 \-w \- port 443 | reshake \-c 100000 \-
.TP
Watching an interface for ten minutes, and keeping the packets:
sudo reshake live \-i eth0 \-\-duration 10m \-w packets.pcapng
.TP
What one client does when it comes twice:
sudo reshake record \-\-repeat 2 \-\- curl \-sS https://www.example.test/
.TP
Connections that were declined, one object a line:
reshake \-\-format jsonl farm.pcapng | jq \-c 'select(.type == "connection" and .outcome == "declined")'
.TP
Only declined connections of one network, from 14:00 on:
reshake \-\-where \(aqoutcome:declined client:10.0.0.0/8 after:14:00\(aq farm.pcapng
.TP
The whole life of the session that is offered or issued in frame 17:
reshake session frame:17 farm.pcapng
.TP
What is lost without sticky sessions, and what gives it back:
reshake what\-if \-\-backends 4 \-\-compare farm.pcapng
.TP
Whether clients that come back resume, in the exit status, with a test report for the pipeline:
reshake check \-\-min\-returning\-share 0.9 \-\-format junit=reshake.xml test.pcapng
.TP
What a reason means and how it is known:
reshake explain rejected\-unexplained
.SH "SEE ALSO"
\fBtcpdump\fR(1), \fBtshark\fR(1), \fBwireshark\fR(1)
"#;

/// Writes the page in roff.
fn page(out: &mut dyn Write) -> io::Result<()> {
    let mut command = Cli::command();
    command.build();
    let man = Man::new(command.clone()).title("RESHAKE").manual("User Commands");
    out.write_all(DEFINITIONS.as_bytes())?;
    part(out, |part| man.render_title(part))?;
    part(out, |part| man.render_name_section(part))?;
    out.write_all(SYNOPSIS.as_bytes())?;
    part(out, |part| man.render_description_section(part))?;
    part(out, |part| man.render_options_section(part))?;
    writeln!(out, ".SH COMMANDS")?;
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        self::command(command, out)?;
    }
    out.write_all(MORE.as_bytes())
}

/// One command as a subsection: its synopsis and options, without headings of their own.
fn command(command: &clap::Command, out: &mut dyn Write) -> io::Result<()> {
    // What every command takes is told once, above.
    let command = command.clone().mut_args(|argument| {
        let inherited = argument.is_global_set() || argument.get_id() == "help";
        argument.hide(inherited)
    });
    writeln!(out, ".SS \"reshake {}\"", command.get_name())?;
    if let Some(about) = command.get_about() {
        writeln!(out, "{about}.")?;
    }
    let man = Man::new(command);
    part(out, |part| man.render_options_section(part))
}

/// A part of the page as clap_mangen makes it, without the definitions that begin each, and without headings that stand
/// above a single command.
fn part(out: &mut dyn Write, render: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut text = Vec::new();
    render(&mut text)?;
    for line in String::from_utf8_lossy(&text).lines() {
        if !DEFINITIONS.lines().any(|definition| definition == line) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}
