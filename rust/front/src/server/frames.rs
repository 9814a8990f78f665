//! Where one HTTP/2 frame ends and the next begins, in a stream of bytes cut anyhow.

/// Length, kind, flags, stream.
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;

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
    /// Lets bytes pass, and calls `ended` with every stream whose last frame is through.
    pub(super) fn pass(&mut self, mut bytes: &[u8], mut ended: impl FnMut(u32)) {
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
            let passed = self.payload.min(bytes.len());
            self.payload -= passed;
            bytes = &bytes[passed..];
            if self.payload > 0 {
                return;
            }
            self.known = 0;
            let [_, _, _, kind, flags, stream @ ..] = self.head;
            if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                ended(u32::from_be_bytes(stream));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DATA, END_STREAM, Frames, HEADERS};

    fn frame(kind: u8, flags: u8, stream: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, stream];
        frame.resize(frame.len() + usize::from(length), END_STREAM);
        frame
    }

    #[test]
    fn streams_end_with_the_last_byte_of_their_last_frame() {
        const SETTINGS: u8 = 4;
        let written = [
            frame(SETTINGS, END_STREAM, 0, 6),
            frame(HEADERS, 4, 1, 20),
            frame(DATA, 0, 1, 90),
            frame(HEADERS, 4 | END_STREAM, 1, 7),
            frame(DATA, END_STREAM, 3, 0),
        ]
        .concat();
        for step in 1..written.len() {
            let (mut frames, mut passed, mut ended) = (Frames::default(), 0, Vec::new());
            for piece in written.chunks(step) {
                passed += piece.len();
                frames.pass(piece, |stream| ended.push((stream, passed)));
            }
            let at = |byte: usize| byte.next_multiple_of(step).min(written.len());
            assert_eq!(ended, [(1, at(written.len() - 9)), (3, written.len())], "in pieces of {step}");
        }
    }
}
