//! The pages over HTTP, from the real binary.

mod support;

use support::{Browser, PASSWORD, Site, USER};

#[test]
fn a_visitor_signs_in_sees_the_students_and_signs_out() {
    let site = Site::new("");
    let server = site.serve();
    let browser = server.browser();

    assert_eq!(browser.get("/").location(), "/brief_introduction");
    let refused = browser.get("/detailed?id=2");
    assert_eq!((refused.status, refused.location()), (303, "/login?next=%2Fdetailed%3Fid%3D2"));
    assert!(browser.cookie.borrow().is_none());

    let form = [("username", "GKF"), ("password", PASSWORD), ("next", "/detailed?id=2")];
    assert_eq!(browser.post("/login", &form).location(), "/detailed?id=2");

    let list = browser.get("/brief_introduction").body;
    for name in ["Steel Eggs", "Iron Egg", "maidservant"] {
        assert!(list.contains(name));
    }
    let details = browser.get("/detailed?id=1").body;
    assert!(
        details.contains("Steel Eggs") && details.contains("17") && details.contains("Unknown")
    );

    let cookie = browser.cookie.borrow().clone().unwrap();
    assert_eq!(browser.post("/logout", &[]).location(), "/login");
    assert!(browser.cookie.borrow().is_none());
    assert!(!Browser::with_cookie(server.port, &cookie).is_signed_in());
}
