//! One value ahead of a series: its line plus the harmonics that are kept of what remains.

use std::f64::consts::TAU;

/// Which harmonics are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harmonics {
    /// The slowest: a low-pass filter.
    Lowest,
    /// Those of the largest amplitude.
    Strongest,
}

/// Extrapolates one value: fits a line by least squares, takes the discrete Fourier transform of what remains, keeps its mean and
/// `count` harmonics, and adds both up at the next position. Cost: O(n · harmonics).
pub(super) fn extrapolate(values: &[f64], count: usize, which: Harmonics) -> f64 {
    let n = values.len();
    let (slope, intercept) = line(values);
    let rest: Vec<f64> = values.iter().zip(0..).map(|(value, at)| value - intercept - slope * f64::from(at)).collect();
    let considered = match which {
        Harmonics::Lowest => count.min(n / 2),
        Harmonics::Strongest => n / 2,
    };
    let mut harmonics: Vec<_> = (1..=considered).map(|k| harmonic(&rest, k)).collect();
    if which == Harmonics::Strongest {
        harmonics.sort_by(|a, b| b.0.total_cmp(&a.0));
    }
    // A transform repeats: its value behind the end is the one at the beginning.
    intercept + slope * n as f64 + harmonics.iter().take(count).map(|&(_, begin)| begin).sum::<f64>()
}

/// Slope and intercept of the line nearest to the values at 0, 1, ….
fn line(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let (mean_at, mean) = ((n - 1.0) / 2.0, values.iter().sum::<f64>() / n);
    let (mut covariance, mut variance) = (0.0, 0.0);
    for (value, at) in values.iter().zip(0..) {
        let from_mean = f64::from(at) - mean_at;
        covariance += from_mean * (value - mean);
        variance += from_mean * from_mean;
    }
    let slope = if variance > 0.0 { covariance / variance } else { 0.0 };
    (slope, mean - slope * mean_at)
}

/// The amplitude of the `k`-th harmonic and its value at the beginning of the series.
fn harmonic(rest: &[f64], k: usize) -> (f64, f64) {
    let n = rest.len();
    let (mut cosine, mut sine) = (0.0, 0.0);
    for (at, value) in rest.iter().enumerate() {
        let angle = TAU * ((k * at) % n) as f64 / n as f64;
        cosine += value * angle.cos();
        sine += value * angle.sin();
    }
    // Each harmonic stands for two frequencies of opposite sign, but for the one that alternates with every value.
    let weight = if 2 * k == n { 1.0 } else { 2.0 } / n as f64;
    (weight * cosine.hypot(sine), weight * cosine)
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use std::f64::consts::TAU;

    use super::{Harmonics, extrapolate};

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn a_line_goes_on() {
        let values: Vec<f64> = (0..60).map(|at| 3.0 + 0.5 * f64::from(at)).collect();
        assert!(close(extrapolate(&values, 10, Harmonics::Lowest), 33.0));
        assert!(close(extrapolate(&[4.0; 60], 10, Harmonics::Strongest), 4.0));
        assert!(close(extrapolate(&[4.0], 10, Harmonics::Lowest), 4.0));
    }

    #[test]
    fn all_harmonics_together_are_the_series() {
        // The line through 1, 2, 6, 3 is 1.5 + x, what remains is −0.5, −0.5, 2.5, −1.5: behind the end 1.5 + 4 − 0.5.
        assert!(close(extrapolate(&[1.0, 2.0, 6.0, 3.0], 2, Harmonics::Lowest), 5.0));
    }

    #[test]
    fn the_lowest_harmonics_cannot_see_a_fast_wave_and_the_strongest_can() {
        // Fifteen periods in sixty values.
        let values: Vec<f64> = (0..60).map(|at| 2.0 + (TAU * f64::from(at) / 4.0).cos()).collect();
        assert!(extrapolate(&values, 10, Harmonics::Lowest) < 2.2);
        assert!(extrapolate(&values, 10, Harmonics::Strongest) > 2.9);
    }
}
