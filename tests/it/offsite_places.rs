//! Places that refuse, or say that they did what they did not: what is told of them, and what goes on all the same.

use crate::support::{Place, Site, shared};

fn site() -> Site {
    Site::of(shared()).with("BACKUP_DATABASES", "shop")
}

#[test]
fn an_outage_in_the_middle_is_waited_for() {
    let place = Place::s3();
    let site = site().with_place(&place);
    place.behave(r#"{"method": "PUT", "least": 1000, "do": "503", "times": 4}"#);
    site.run(&["backup"]).done().saying(&["copied to"]);
}
