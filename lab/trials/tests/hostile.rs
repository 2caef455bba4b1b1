// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hostile guest really does what it says: a sham attack would prove nothing.

#[path = "../../../tasks/tests/common/mod.rs"]
mod common;

use common::{ShellGuest, pair, value};
use drivers::gntdev::ReadWrite;
use drivers::{Access, ClaimedGrant, DomId, Pages};
use embassy_futures::select::select;
use fake_xen::{Task, World};
use trials::hostile;

/// Runs a victim, domain 1, beside the hostile guest, domain 2, while `user` types.
fn beside(world: &World, victim: &ShellGuest, enemy: &ShellGuest, user: impl AsyncFn()) {
    let attack = async {
        let never = || unreachable!("nobody typed `crash`");
        let typed = async {
            enemy.expect("hostile: ready").await;
            user().await;
        };
        select(hostile::run(&enemy.services, &enemy.xen, &never), typed).await;
    };
    world.run([
        Task::new(&enemy.services.events, attack),
        Task::new(&victim.services.events, async {}),
    ]);
}

#[test]
fn guessed_references_map_only_what_was_granted() {
    let (world, victim, enemy) = pair();
    let gntalloc = victim.gntalloc.open();
    let others = gntalloc.alloc(DomId::new(3).unwrap(), Pages(4), Access::ReadWrite).unwrap();
    let its = gntalloc.alloc(DomId::new(2).unwrap(), Pages(2), Access::ReadOnly).unwrap();
    beside(&world, &victim, &enemy, async || {
        let said = enemy.ask("guess 1 0 600\r", "ok guess").await;
        assert_eq!(value(&said, "tried"), "600");
        assert_eq!(value(&said, "mapped"), "2");
        let refs: Vec<String> = its.grefs().map(|gref| gref.to_string()).collect();
        let said = enemy.ask(&format!("map 1 {} rw\r", refs.join(",")), "error map").await;
        assert!(said.contains("errno=EINVAL"), "{said}");
        let said = enemy.ask(&format!("probe 1 {}\r", refs[0]), "ok probe").await;
        assert_eq!(value(&said, "stored"), "false");
    });
    drop((others, its, gntalloc));
    victim.end();
    enemy.end();
}

#[test]
fn what_it_revokes_cannot_be_mapped_until_it_is_restored() {
    let (world, victim, enemy) = pair();
    let gntdev = victim.gntdev.open().unwrap();
    beside(&world, &victim, &enemy, async || {
        let said = enemy.ask("grant 1 2\r", "ok grant").await;
        let claim = |gref: &str| ClaimedGrant::new(2, gref.parse().unwrap());
        let claims: Vec<_> = value(&said, "refs").split(',').map(claim).collect();
        let maps = || gntdev.reserve(&claims).unwrap().map::<ReadWrite>().is_ok();
        assert!(maps());
        enemy.ask("revoke\r", "ok revoke").await;
        assert!(!maps());
        enemy.ask("restore\r", "ok restore").await;
        assert!(maps());
    });
    drop(gntdev);
    victim.end();
    enemy.end();
}

#[test]
fn an_unknown_command_is_an_error() {
    let (world, victim, enemy) = pair();
    beside(&world, &victim, &enemy, async || {
        for nonsense in ["", "share 1 2", "guess 1", "guess 40000 0 1", "map 1 x rw"] {
            let said = enemy.ask(&format!("{nonsense}\r"), "error ").await;
            assert!(said.contains("errno=EINVAL"), "{said}");
        }
    });
    victim.end();
    enemy.end();
}
