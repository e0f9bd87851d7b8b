//! A message's file as SEARCH asks for it: its header, and all of it, each read when it is first needed.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use ravenry_core::proto::imap::Day;

use crate::message::{self, Source};
use crate::search::{Content, Place};

/// A message's file.
pub(super) struct Letter {
    pub(super) path: PathBuf,
    header_size: u64,
    /// What has been read, from the first byte on.
    bytes: Vec<u8>,
    /// Whether that is all of it.
    whole: bool,
}

impl Letter {
    pub(super) fn new(path: PathBuf, header_size: u32) -> Self {
        Self {
            path,
            header_size: header_size.into(),
            bytes: Vec::new(),
            whole: false,
        }
    }

    fn header(&mut self) -> io::Result<&[u8]> {
        if self.bytes.is_empty() && self.header_size > 0 {
            File::open(&self.path)?
                .take(self.header_size)
                .read_to_end(&mut self.bytes)?;
        }
        let size = usize::try_from(self.header_size).unwrap_or(usize::MAX);
        Ok(&self.bytes[..size.min(self.bytes.len())])
    }

    fn all(&mut self) -> io::Result<&[u8]> {
        if !self.whole {
            self.bytes.clear();
            File::open(&self.path)?.read_to_end(&mut self.bytes)?;
            self.whole = true;
        }
        Ok(&self.bytes)
    }
}

impl Content for Letter {
    type Error = io::Error;

    fn field(&mut self, name: &[u8], take: &mut dyn FnMut(&str) -> bool) -> io::Result<()> {
        if let Ok(name) = std::str::from_utf8(name) {
            message::decoded(self.header()?, name).all(|value| take(&value));
        }
        Ok(())
    }

    fn sent(&mut self) -> io::Result<Option<Day>> {
        let date = message::sent_date(self.header()?);
        Ok(date.and_then(|date| Day::of(date.year.into(), date.month.into(), date.day.into())))
    }

    fn texts(&mut self, take: &mut dyn FnMut(Place, &str) -> bool) -> io::Result<()> {
        message::texts(self.all()?, |source, text| {
            let place = match source {
                Source::Header => Place::Header,
                Source::Body => Place::Body,
            };
            take(place, text)
        });
        Ok(())
    }
}

/// A message whose file isn't to be read now.
pub(super) struct Unread;

/// It has to be.
pub(super) struct Needed;

impl Content for Unread {
    type Error = Needed;

    fn field(&mut self, _: &[u8], _: &mut dyn FnMut(&str) -> bool) -> Result<(), Needed> {
        Err(Needed)
    }

    fn sent(&mut self) -> Result<Option<Day>, Needed> {
        Err(Needed)
    }

    fn texts(&mut self, _: &mut dyn FnMut(Place, &str) -> bool) -> Result<(), Needed> {
        Err(Needed)
    }
}
