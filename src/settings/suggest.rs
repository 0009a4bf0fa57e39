//! "Did you mean …?", only when it is likely.

use strsim::damerau_levenshtein;

/// The known name that `name` is most likely a slip for.
pub(super) fn setting(
    name: &str,
    known: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    let rest = after_prefix(name);
    known
        .filter_map(|candidate| Some((nearness(name, rest, candidate)?, candidate)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How far apart two names are, if near enough to be the same one. The shared prefix says little, so that what
/// comes after it decides.
fn nearness(name: &str, rest: &str, candidate: &str) -> Option<usize> {
    let wanted = after_prefix(candidate);
    let distance = damerau_levenshtein(name, candidate);
    let tolerated = (wanted.len() / 2).min(2.max(wanted.len() / 3));
    let cut_short = rest.len() >= 3 && candidate.starts_with(name);
    let wrong_prefix = rest.len() >= 2 && rest == wanted;
    (distance <= tolerated || cut_short || wrong_prefix).then_some(distance)
}

fn after_prefix(name: &str) -> &str {
    name.split_once('_').map_or(name, |(_, rest)| rest)
}

/// The time zone that `given` is most likely a slip for: the same city, or a name with a letter or two wrong.
pub(super) fn time_zone<'z>(given: &str, zones: impl Iterator<Item = &'z str>) -> Option<&'z str> {
    let given = given.trim().replace(' ', "_");
    // An abbreviation such as CEST is near to nothing that it means.
    let is_abbreviation = given.len() <= 5 && given.bytes().all(|b| b.is_ascii_uppercase());
    if given.len() < 3 || given.len() > 64 || is_abbreviation {
        return None;
    }
    let given = given.to_ascii_lowercase();
    zones
        .filter_map(|zone| {
            let name = zone.to_ascii_lowercase();
            let city = name.rsplit('/').next().unwrap_or(&name);
            let distance =
                damerau_levenshtein(&given, &name).min(damerau_levenshtein(&given, city));
            (distance <= given.len().min(name.len()) / 4).then_some((distance, zone))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, zone)| zone)
}
