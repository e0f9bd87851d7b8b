//! A virtual pipe. What is left in it is still there for whoever uses it next, as in the kernel.

use std::{cell::RefCell, collections::VecDeque, io};

use super::{SimSocket, faults::Fault};

/// A pipe of a world.
#[derive(Debug)]
pub(in super::super) struct SimPipe {
    bytes: RefCell<VecDeque<u8>>,
    capacity: usize,
}

impl SimPipe {
    pub(in super::super) fn new(capacity: usize) -> io::Result<Self> {
        super::with(|world| {
            if world.strikes(Fault::PipeRefused) {
                return Err(io::Error::from_raw_os_error(libc::EMFILE));
            }
            world.pipes += 1;
            Ok(Self {
                bytes: RefCell::default(),
                capacity,
            })
        })
    }

    /// splice(2) from a socket.
    pub(in super::super) fn fill(&self, from: &SimSocket, most: usize) -> io::Result<usize> {
        let mut bytes = self.bytes.borrow_mut();
        let room = most.min(self.capacity - bytes.len());
        if room == 0 {
            return Err(io::Error::from_raw_os_error(libc::EAGAIN));
        }
        let mut buffer = vec![0; room];
        let count = from.read(&mut buffer)?;
        bytes.extend(&buffer[..count]);
        Ok(count)
    }

    /// splice(2) to a socket.
    pub(in super::super) fn drain(&self, to: &SimSocket, most: usize) -> io::Result<usize> {
        let mut bytes = self.bytes.borrow_mut();
        let most = most.min(bytes.len());
        if most == 0 {
            return Err(io::Error::from_raw_os_error(libc::EAGAIN));
        }
        let count = to.write(&bytes.make_contiguous()[..most])?;
        bytes.drain(..count);
        Ok(count)
    }
}

impl Drop for SimPipe {
    fn drop(&mut self) {
        super::world::with(|world| world.pipes -= 1);
    }
}
