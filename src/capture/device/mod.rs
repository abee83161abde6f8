//! A network interface as a source, by way of libpcap. The only module that knows that library.
//!
//! The handle never blocks: what has come is read until there is none, then the descriptor is waited on for a moment. A
//! wait of libpcap's own does not end on a link without traffic, whatever timeout it was given.

mod tags;

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pcap::{Active, Linktype, Precision};

use super::{Pause, Source, SourceError};
use reshake_core::net::capture::{CaptureFormat, Ended};
use reshake_core::net::{Capture, FrameRef, LinkType, Notice, Packet, Timestamp};
use tags::{Tags, is_tagged};

/// Milliseconds after which the kernel hands over packets that do not fill a block.
const BLOCK_MILLIS: i32 = 100;
/// Longest wait for a packet.
const WAIT_MILLIS: u8 = 100;
/// Every packet older than this has been handed over: a block's time with room to spare.
const DELAY: Duration = Duration::from_millis(500);
/// Time between two looks at the counters of the kernel, and two tries to take a lost device up again.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest time in which nobody asks whether to stop.
const SHORT: Duration = Duration::from_millis(100);
/// The interface that stands for all.
const ANY: &str = "any";

/// How a device is opened.
#[derive(Debug, Clone)]
pub struct DeviceOptions {
    /// Name of the interface.
    pub interface: String,
    /// Filter in the language of libpcap.
    pub filter: Option<String>,
    /// Bytes of each packet; beyond that it is cut.
    pub snaplen: u32,
    /// Take in packets for other hosts, too.
    pub promiscuous: bool,
    /// Bytes of the kernel's buffer.
    pub buffer: u32,
    /// Have each packet handed over at once.
    pub immediate: bool,
    /// Link type by name or number.
    pub link_type: Option<String>,
    /// Take the device up again when it is lost.
    pub reconnect: bool,
}

/// Why a device cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The filter or the link type is wrong.
    #[error("{0}")]
    Usage(String),
    /// The device cannot be used.
    #[error("{0}")]
    Device(String),
}

/// An interface as `reshake interfaces` shows it.
#[derive(Debug, Clone)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// `up`, `down`, and what else is known.
    pub state: String,
    /// What the system says of it.
    pub description: Option<String>,
}

/// All interfaces that the system shows.
///
/// # Errors
/// What libpcap says.
pub fn interfaces() -> Result<Vec<Interface>, String> {
    let devices = pcap::Device::list().map_err(|error| text(&error))?;
    let interface = |device: pcap::Device| Interface {
        state: state(&device.flags),
        addresses: device.addresses.iter().map(|address| address.addr).collect(),
        name: device.name,
        description: device.desc,
    };
    Ok(devices.into_iter().map(interface).collect())
}

fn state(flags: &pcap::DeviceFlags) -> String {
    use pcap::ConnectionStatus::{Connected, Disconnected};
    let mut words = vec![match (flags.is_up(), flags.is_running()) {
        (true, true) => "up",
        (true, false) => "up, not running",
        (false, _) => "down",
    }];
    words.extend(match flags.connection_status {
        Connected => Some("connected"),
        Disconnected => Some("disconnected"),
        _ => None,
    });
    words.extend(flags.is_loopback().then_some("loopback"));
    words.extend(flags.is_wireless().then_some("wireless"));
    words.join(", ")
}

/// An open interface.
pub struct Device {
    handle: pcap::Capture<Active>,
    link: LinkType,
    options: DeviceOptions,
    course: Course,
    /// Looks for packets that the filter misses, until it is clear.
    tags: Option<Tags>,
}

/// How the capture goes: everything but the handle, from which packets are borrowed.
struct Course {
    capture: Capture,
    index: u16,
    /// Nothing is left to be read: the next packet is waited for.
    drained: bool,
    pause: Pause,
    error: Option<SourceError>,
    news: Vec<String>,
    /// Packets lost before the device was taken up again.
    dropped_before: u64,
    /// When the counters of the kernel were looked at.
    counted: Instant,
    /// The device is lost, and was tried last at this time.
    lost: Option<Instant>,
    /// Packets with a VLAN tag came.
    tagged: bool,
    /// Times come in nanoseconds, not microseconds.
    is_nano: bool,
}

impl Device {
    /// Opens an interface; `capture` is the index of its frames.
    ///
    /// # Errors
    /// One line that says what is wrong and what to do.
    pub fn open(options: DeviceOptions, capture: u16) -> Result<Self, OpenError> {
        let (handle, link) = open(&options)?;
        let course = Course {
            capture: Capture {
                dropped: Some(0),
                ..Capture::new(&options.interface, CaptureFormat::Live)
            },
            index: capture,
            drained: false,
            pause: Pause::Idle(None),
            error: None,
            news: Vec::new(),
            dropped_before: 0,
            counted: Instant::now(),
            lost: None,
            tagged: false,
            is_nano: is_nano(&options.interface),
        };
        Ok(Self {
            tags: Tags::watch(&options),
            handle,
            link,
            options,
            course,
        })
    }

    /// Its link type, with its name and what it is, where libpcap has them.
    #[must_use]
    pub fn link_type(&self) -> (i32, String, String) {
        let link = self.handle.get_datalink();
        let name = link.get_name().unwrap_or_else(|_| format!("DLT_{}", link.0));
        let description = link.get_description().unwrap_or_else(|_| name.clone());
        (link.0, name, description)
    }

    /// Waits for packets, a signal, or a moment. Now and then it looks how things stand; `false` when the interface is down.
    fn wait(&mut self) -> bool {
        let mut descriptors = [PollFd::new(self.handle.as_fd(), PollFlags::POLLIN)];
        // What is wrong with the device is told by the next read.
        let _ = poll(&mut descriptors, PollTimeout::from(WAIT_MILLIS));
        if self.course.counted.elapsed() < PAUSE {
            return true;
        }
        self.count_dropped();
        self.look_for_tags();
        !self.is_down()
    }

    fn look_for_tags(&mut self) {
        if self.course.tagged {
            self.tags = None;
        }
        if self.tags.as_mut().is_some_and(Tags::are_missed) {
            self.tags = None;
            let filter = self.options.filter.as_deref().unwrap_or_default();
            self.course.news.push(format!(
                "packets with VLAN tags pass that the filter misses; it would be: '({filter}) or (vlan and ({filter}))'"
            ));
        }
    }

    /// libpcap waits for an interface that was taken down, in silence.
    fn is_down(&self) -> bool {
        self.options.interface != ANY && is_up(&self.options.interface) == Some(false)
    }

    fn count_dropped(&mut self) {
        self.course.counted = Instant::now();
        if let Ok(stats) = self.handle.stats() {
            let dropped = u64::from(stats.dropped) + u64::from(stats.if_dropped);
            self.course.capture.dropped = Some(self.course.dropped_before + dropped);
        }
    }

    /// Tries a lost device again. `false` while it stays away.
    fn is_back(&mut self, tried: Instant) -> bool {
        let since = tried.elapsed();
        if since < PAUSE {
            std::thread::sleep(PAUSE.saturating_sub(since).min(SHORT));
            return false;
        }
        self.course.lost = Some(Instant::now());
        let Ok((handle, link)) = open(&self.options) else {
            return false;
        };
        (self.handle, self.link) = (handle, link);
        self.course.lost = None;
        self.course.drained = false;
        self.course.news.push(format!("{}: is back", self.options.interface));
        true
    }
}

impl Course {
    #[allow(clippy::useless_conversion)] // seconds have 32 bits on some systems
    fn take<'a>(&mut self, link: LinkType, packet: &pcap::Packet<'a>) -> Packet<'a> {
        let (header, data) = (packet.header, packet.data);
        // With nanosecond precision the second field counts nanoseconds.
        let unit = if self.is_nano { 1 } else { 1_000 };
        let time = i64::from(header.ts.tv_sec)
            .saturating_mul(1_000_000_000)
            .saturating_add(i64::from(header.ts.tv_usec).saturating_mul(unit));
        let time = Timestamp::from_nanos(time);
        let capture = &mut self.capture;
        capture.packets = capture.packets.saturating_add(1);
        capture.bytes = capture.bytes.saturating_add(data.len() as u64);
        self.tagged |= link == LinkType::ETHERNET && is_tagged(data);
        capture.last_time = capture.last_time.max(Some(time));
        if capture.first_time.is_none_or(|first| time < first) {
            capture.first_time = Some(time);
        }
        let frame = FrameRef::new(self.index, capture.packets);
        if data.len() < header.len as usize {
            capture.notices.add(Notice::PacketCutBySnaplen, Some(frame));
        }
        Packet {
            frame,
            time,
            link,
            interface: 0,
            data,
            original_len: header.len,
        }
    }

    /// Reading gave no packet.
    fn stop(&mut self, error: &pcap::Error, options: &DeviceOptions) {
        match error {
            waits if is_drained(waits) => {
                self.drained = true;
                self.pause = Pause::Idle(Some(now()));
            }
            pcap::Error::NoMorePackets => self.pause = Pause::Over,
            other if options.reconnect => {
                self.dropped_before = self.capture.dropped.unwrap_or(0);
                self.news
                    .push(format!("{}: {}; waiting for it", options.interface, text(other)));
                let frame = FrameRef::new(self.index, self.capture.packets.saturating_add(1));
                self.capture.notices.add(Notice::InterfaceLost, Some(frame));
                self.lost = Some(Instant::now());
                self.pause = Pause::Idle(None);
            }
            other => {
                self.capture.ended = Ended::Truncated;
                self.error = Some(SourceError::Device {
                    device: options.interface.clone(),
                    cause: text(other),
                });
                self.pause = Pause::Over;
            }
        }
    }
}

impl Source for Device {
    fn next(&mut self) -> Option<Packet<'_>> {
        if self.course.error.is_some() {
            return None;
        }
        if let Some(tried) = self.course.lost
            && !self.is_back(tried)
        {
            self.course.pause = Pause::Idle(Some(now()));
            return None;
        }
        if std::mem::take(&mut self.course.drained) && !self.wait() {
            let went = pcap::Error::PcapError("the interface went down".to_owned());
            self.course.stop(&went, &self.options);
            return None;
        }
        match self.handle.next_packet() {
            Ok(packet) => Some(self.course.take(self.link, &packet)),
            Err(error) => {
                self.course.stop(&error, &self.options);
                None
            }
        }
    }

    fn is_ready(&mut self) -> bool {
        let waits = self.course.drained && self.course.error.is_none() && self.course.lost.is_none();
        let mut descriptors = [PollFd::new(self.handle.as_fd(), PollFlags::POLLIN)];
        // What is wrong with the device is told by the next read.
        !waits || poll(&mut descriptors, PollTimeout::ZERO) != Ok(0)
    }

    fn peek(&mut self) -> Option<Timestamp> {
        // A device is never merged with other inputs.
        None
    }

    fn capture(&self) -> &Capture {
        &self.course.capture
    }

    fn error(&self) -> Option<&SourceError> {
        self.course.error.as_ref()
    }

    fn pause(&self) -> Pause {
        self.course.pause
    }

    fn news(&mut self) -> Vec<String> {
        std::mem::take(&mut self.course.news)
    }

    fn close(&mut self) {
        if self.course.error.is_none() && self.course.lost.is_none() {
            self.count_dropped();
        }
    }
}

/// Whether this is a group of netfilter's log or a queue of it: no interface, but libpcap opens it as one.
fn is_netfilter(interface: &str) -> bool {
    interface.starts_with("nflog:") || interface.starts_with("nfqueue:")
}

/// Whether libpcap stamps packets in nanoseconds when asked to. Where it cannot, it says so in a value that the binding
/// drops, and goes on in microseconds.
fn is_nano(interface: &str) -> bool {
    cfg!(target_os = "linux") && !is_netfilter(interface)
}

/// Whether there is nothing to be read now. libpcap's reader of netfilter logs takes that for an error when it is told not
/// to block, and gives the system's words for it.
fn is_drained(error: &pcap::Error) -> bool {
    let would_block = || io::Error::from(Errno::EAGAIN).to_string();
    match error {
        pcap::Error::TimeoutExpired => true,
        pcap::Error::PcapError(text) => would_block()
            .split(" (os error")
            .next()
            .is_some_and(|words| text.ends_with(words)),
        _ => false,
    }
}

/// Whether an interface is up; `None` where it is not known.
fn is_up(interface: &str) -> Option<bool> {
    let all = nix::ifaddrs::getifaddrs().ok()?;
    let flags = all.filter(|one| one.interface_name == interface).map(|one| one.flags);
    flags
        .map(|flags| flags.contains(nix::net::if_::InterfaceFlags::IFF_UP))
        .next()
}

/// A time up to which every packet was handed over, by the clock that stamps them.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let sure = since.saturating_sub(DELAY);
    Timestamp::from_nanos(i64::try_from(sure.as_nanos()).unwrap_or(i64::MAX))
}

fn open(options: &DeviceOptions) -> Result<(pcap::Capture<Active>, LinkType), OpenError> {
    let device = |error: &pcap::Error| OpenError::Device(why(&options.interface, error));
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let inactive = pcap::Capture::from_device(options.interface.as_str()).map_err(|error| device(&error))?;
    let mut handle = inactive
        .snaplen(number(options.snaplen))
        // All interfaces together cannot be put into that mode, and to ask for it would be an error.
        .promisc(options.promiscuous && options.interface != ANY)
        .buffer_size(number(options.buffer))
        .timeout(BLOCK_MILLIS)
        .immediate_mode(options.immediate)
        .precision(if is_nano(&options.interface) {
            Precision::Nano
        } else {
            Precision::Micro
        })
        .open()
        .map_err(|error| device(&error))?;
    if let Some(wanted) = &options.link_type {
        choose_link_type(&mut handle, wanted)?;
    }
    if let Some(filter) = &options.filter {
        handle
            .filter(filter, true)
            .map_err(|error| OpenError::Usage(format!("filter '{filter}': {}", text(&error))))?;
    }
    let link = link_type(handle.get_datalink());
    let handle = handle.setnonblock().map_err(|error| device(&error))?;
    Ok((handle, link))
}

fn choose_link_type(handle: &mut pcap::Capture<Active>, wanted: &str) -> Result<(), OpenError> {
    let chosen = match wanted.parse() {
        Ok(number) => Some(Linktype(number)),
        Err(_) => Linktype::from_name(wanted).ok(),
    };
    let there = handle.list_datalinks().unwrap_or_default();
    if let Some(chosen) = chosen
        && handle.set_datalink(chosen).is_ok()
    {
        return Ok(());
    }
    let name = |link: &Linktype| link.get_name().unwrap_or_else(|_| link.0.to_string());
    let names: Vec<String> = there.iter().map(name).collect();
    Err(OpenError::Usage(format!(
        "link type '{wanted}' is not one of this interface; it has {}",
        names.join(", ")
    )))
}

/// libpcap's numbers are those of its file format but for raw IP, which differs from system to system.
fn link_type(link: Linktype) -> LinkType {
    match link.0 {
        12 | 14 => LinkType::RAW,
        other => LinkType(u16::try_from(other).unwrap_or(u16::MAX)),
    }
}

/// One line on why a device cannot be opened, with what to do.
fn why(interface: &str, error: &pcap::Error) -> String {
    let known = pcap::Device::list().unwrap_or_default();
    let found = known.iter().find(|device| device.name == interface);
    if !has(Right::Capture) {
        let program = std::env::current_exe().map_or_else(|_| "reshake".to_owned(), |path| path.display().to_string());
        return format!(
            "{interface}: capturing needs privileges: run it with sudo, or give them once: \
             sudo setcap cap_net_raw,cap_net_admin=eip {program}"
        );
    }
    match found {
        None if is_netfilter(interface) => {
            let group = interface.split(':').nth(1).unwrap_or_default();
            let cause = text(error);
            // A group that somebody holds is "not permitted" as well.
            let remedy = if has(Right::Netfilter) {
                format!(
                    "if another program holds group {group}, end it or log to another group: 'nft list ruleset' shows \
                     which are used"
                )
            } else {
                "netfilter needs the capability NET_ADMIN".to_owned()
            };
            format!("{interface}: cannot be opened: {cause}; {remedy}")
        }
        None => format!("{interface}: there is no such interface; 'reshake interfaces' lists those there are"),
        Some(device) if !device.flags.is_up() => {
            format!("{interface}: the interface is down; bring it up first: ip link set {interface} up")
        }
        Some(_) => format!("{interface}: cannot be opened: {}", text(error)),
    }
}

/// What it takes to open something.
#[derive(Debug, Clone, Copy)]
enum Right {
    Capture,
    Netfilter,
}

/// Whether this process has a right, as far as can be told.
#[cfg(target_os = "linux")]
fn has(right: Right) -> bool {
    let capability = match right {
        Right::Capture => caps::Capability::CAP_NET_RAW,
        Right::Netfilter => caps::Capability::CAP_NET_ADMIN,
    };
    caps::has_cap(None, caps::CapSet::Effective, capability).unwrap_or(true)
}

#[cfg(not(target_os = "linux"))]
fn has(_: Right) -> bool {
    nix::unistd::geteuid().is_root()
}

/// libpcap's words, in one line.
fn text(error: &pcap::Error) -> String {
    let text = match error {
        pcap::Error::PcapError(text) => text.clone(),
        other => other.to_string(),
    };
    text.lines().collect::<Vec<_>>().join(" ")
}
