//! Where one HTTP/2 frame ends and the next begins, in a stream of bytes cut anyhow.

/// Length, kind, flags, stream.
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const END_STREAM: u8 = 1;

/// What a client sends before its first frame.
const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();

/// What a frame that is through says of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// Nothing more of the stream follows.
    Last(u32),
    /// The stream is given up.
    Reset(u32),
}

/// How far a stream of frames has passed.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: [u8; HEAD],
    /// Bytes of the head that have passed.
    known: usize,
    /// Bytes of the payload that have not.
    payload: usize,
}

impl Frames {
    /// The frames of a client, which has its preface pass first.
    pub(super) fn of_client() -> Self {
        Self { head: [0; HEAD], known: HEAD, payload: PREFACE }
    }

    /// Lets bytes pass, and calls `passed` for every frame that is through and is the last of its stream.
    pub(super) fn pass(&mut self, mut bytes: &[u8], mut passed: impl FnMut(Passed)) {
        while !bytes.is_empty() {
            if self.known < HEAD {
                let (more, rest) = bytes.split_at(bytes.len().min(HEAD - self.known));
                self.head[self.known..self.known + more.len()].copy_from_slice(more);
                self.known += more.len();
                bytes = rest;
                if self.known < HEAD {
                    return;
                }
                let [a, b, c, ..] = self.head;
                self.payload = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            }
            let through = self.payload.min(bytes.len());
            self.payload -= through;
            bytes = &bytes[through..];
            if self.payload > 0 {
                return;
            }
            self.known = 0;
            let [_, _, _, kind, flags, stream @ ..] = self.head;
            match kind {
                DATA | HEADERS if flags & END_STREAM != 0 => passed(Passed::Last(u32::from_be_bytes(stream))),
                RST_STREAM => passed(Passed::Reset(u32::from_be_bytes(stream))),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DATA, END_STREAM, Frames, HEADERS, PREFACE, Passed, RST_STREAM};

    fn frame(kind: u8, flags: u8, stream: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, stream];
        frame.resize(frame.len() + usize::from(length), END_STREAM);
        frame
    }

    #[test]
    fn streams_end_with_the_last_byte_of_their_last_frame_or_of_their_reset() {
        const SETTINGS: u8 = 4;
        let written = [
            frame(SETTINGS, END_STREAM, 0, 6),
            frame(HEADERS, 4, 1, 20),
            frame(DATA, 0, 1, 90),
            frame(HEADERS, 4 | END_STREAM, 1, 7),
            frame(RST_STREAM, 0, 5, 4),
            frame(DATA, END_STREAM, 3, 0),
        ]
        .concat();
        for step in 1..written.len() {
            let (mut frames, mut passed, mut ended) = (Frames::default(), 0, Vec::new());
            for piece in written.chunks(step) {
                passed += piece.len();
                frames.pass(piece, |frame| ended.push((frame, passed)));
            }
            let at = |byte: usize| byte.next_multiple_of(step).min(written.len());
            let expected = [
                (Passed::Last(1), at(written.len() - 9 - 13)),
                (Passed::Reset(5), at(written.len() - 9)),
                (Passed::Last(3), written.len()),
            ];
            assert_eq!(ended, expected, "in pieces of {step}");
        }
    }

    #[test]
    fn a_clients_preface_is_no_frame() {
        let written = [&[0xff; PREFACE][..], &frame(RST_STREAM, 0, 7, 4)].concat();
        for step in 1..written.len() {
            let (mut frames, mut ended) = (Frames::of_client(), Vec::new());
            for piece in written.chunks(step) {
                frames.pass(piece, |frame| ended.push(frame));
            }
            assert_eq!(ended, [Passed::Reset(7)], "in pieces of {step}");
        }
    }
}
