//! Changes of bytes without a look at what they do: reproducible from one number. Guided by coverage they are in `guided`.

/// SplitMix64: small, and the same everywhere.
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`; 0 where that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 1).expect("64 bits").checked_rem(bound).unwrap_or(0)
    }
}

/// The longest input that is made.
pub const LONGEST: usize = 64 * 1024;

/// Bytes at which numbers and texts turn.
const TURNS: [u8; 16] = [0, 1, 0x0a, 0x0d, 0x1b, b' ', b'"', b'#', b'0', b'9', b'\\', 0x7f, 0x80, 0xc0, 0xfe, 0xff];

/// One to eight changes of one of the seeds.
pub fn mutated(seeds: &[Vec<u8>], words: &[&str], random: &mut Random) -> Vec<u8> {
    let mut data = seeds.get(random.below(seeds.len())).cloned().unwrap_or_default();
    for _ in 0..=random.below(8) {
        change(&mut data, seeds, words, random);
    }
    data.truncate(LONGEST);
    data
}

fn change(data: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&str], random: &mut Random) {
    let at = random.below(data.len() + 1);
    let end = (at + 1 + random.below(32)).min(data.len());
    match random.below(10) {
        0 => {
            if let Some(byte) = data.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = data.get_mut(at) {
                *byte = TURNS[random.below(TURNS.len())];
            }
        }
        2 => data.insert(at, TURNS[random.below(TURNS.len())]),
        3 | 4 => insert(data, at, words.get(random.below(words.len())).map_or(&b"x"[..], |word| word.as_bytes())),
        5 => drop(data.drain(at.min(end)..end)),
        6 => data.truncate(at),
        7 => {
            let part = data[at.min(end)..end].to_vec();
            insert(data, at, &part);
        }
        8 => {
            // What lies in itself, deeply: one part many times.
            let part =
                words.get(random.below(words.len())).map_or_else(|| data[at.min(end)..end].to_vec(), |word| word.as_bytes().to_vec());
            insert(data, at, &part.repeat(1 << random.below(13)));
        }
        _ => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len() + 1);
            data.truncate(at);
            data.extend_from_slice(&other[from..]);
        }
    }
    data.truncate(LONGEST);
}

fn insert(data: &mut Vec<u8>, at: usize, part: &[u8]) {
    let room = LONGEST.saturating_sub(data.len()).min(part.len());
    data.splice(at..at, part[..room].iter().copied());
}
