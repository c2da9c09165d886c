//! Another medium for the unit, while initiators have it in use: what of the unit stays, and what
//! they are told.
//!
//! Modes, saved state, power condition and an operation that has failed are the unit's and stay. Marked
//! blocks and the figures of what is allocated were about the old medium. A write cache is the unit's as far as the new
//! medium has one.

use pulsefield_backstore::{Capabilities, Geometry};

use crate::event::Observer;
use crate::exec::immediate::read_capacity;
use crate::marked_blocks::MarkedBlocks;
use crate::server::DeviceServer;
use crate::unit_attention::UnitAttention;

impl<T, O: Observer> DeviceServer<T, O> {
    /// Takes another medium in the place of the one it had, and tells an initiator.
    ///
    /// # Panics
    /// If anything is in flight or works through the medium; the caller waits for its end.
    pub fn change_medium(&mut self, geometry: Geometry, capabilities: Capabilities) {
        assert!(self.in_flight() == 0 && !self.is_in_background(), "the old medium is in use");
        let unit = &mut self.unit;
        let (capacity, modes, read_only) = (read_capacity(unit), unit.modes, unit.read_only());
        if capabilities.write_cache != unit.capabilities.write_cache {
            let saved = unit.saved.modes.is_none_or(|saved| saved.write_cache_enabled);
            unit.modes.write_cache_enabled = capabilities.write_cache && saved;
        }
        unit.geometry = geometry;
        unit.capabilities = capabilities;
        unit.marked = MarkedBlocks::default();
        unit.space.forget_report();
        let capacity_changed = read_capacity(unit) != capacity;
        let modes_changed = (unit.modes, unit.read_only()) != (modes, read_only);
        // VPD pages tell of the medium.
        self.raise(UnitAttention::InquiryDataHasChanged);
        if capacity_changed {
            self.raise(UnitAttention::CapacityDataHasChanged);
        }
        if modes_changed {
            self.raise(UnitAttention::ModeParametersChanged);
        }
    }
}

#[cfg(test)]
mod tests {
    use pulsefield_scsi::{Asc, SenseKey};
    use pulsefield_units::BlockCount;

    use crate::testing::{Setup, World, cdb, none, room};

    /// What initiators are told, until there is nothing more.
    fn told(world: &mut World) -> Vec<Asc> {
        std::iter::from_fn(|| {
            let sense = world.execute(&[0; 6], none()).sense?;
            assert_eq!(sense.key, SenseKey::UnitAttention);
            Some(sense.asc)
        })
        .collect()
    }

    #[test]
    fn initiators_hear_of_what_is_different_and_of_nothing_else() {
        let Setup { geometry, capabilities, .. } = Setup::default();
        let mut larger = geometry;
        larger.blocks = BlockCount::new(128);
        let mut write_through = capabilities;
        write_through.write_cache = false;
        let mut thick = capabilities;
        thick.thin = false;
        let mut read_only = capabilities;
        read_only.read_only = true;
        let inquiry = Asc::INQUIRY_DATA_HAS_CHANGED;
        let capacity = Asc::CAPACITY_DATA_HAS_CHANGED;
        let modes = Asc::MODE_PARAMETERS_CHANGED;
        for (geometry, capabilities, expected) in [
            (geometry, capabilities, vec![inquiry]),
            (larger, capabilities, vec![inquiry, capacity]),
            (geometry, write_through, vec![inquiry, modes]),
            (geometry, thick, vec![inquiry, capacity]),
            (geometry, read_only, vec![inquiry, modes]),
        ] {
            let mut world = World::default();
            world.server.change_medium(geometry, capabilities);
            assert_eq!(told(&mut world), expected);
        }
    }

    #[test]
    fn marks_go_with_the_medium_and_modes_stay_with_the_unit() {
        let Setup { geometry, capabilities, .. } = Setup::default();
        let mut world = World::default();
        world.execute(&cdb::write_long(9), none()).good();
        let off = cdb::write_cache(false);
        world.execute(&cdb::mode_select(&off), crate::testing::out(&off)).good();
        world.server.change_medium(geometry, capabilities);
        assert_eq!(told(&mut world), [Asc::INQUIRY_DATA_HAS_CHANGED]);
        world.execute(&cdb::read(9, 1), room(512)).good();
        assert!(!world.server.unit.modes.write_cache_enabled, "nobody has switched it on");
    }

    #[test]
    #[should_panic(expected = "in use")]
    fn a_medium_that_is_in_use_is_not_changed() {
        let Setup { geometry, capabilities, .. } = Setup::default();
        let mut world = World::default();
        world.send(&cdb::read(0, 1), room(512));
        world.server.change_medium(geometry, capabilities);
    }
}
