//! `docs/json.md` and `docs/schemas`.
