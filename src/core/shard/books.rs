//! The containers on the books, found by name and by the id that has them. What is counted of them is kept by the way, so that no step
//! looks through them all.
//!
//! Always true: `by_id` has an entry for each assigned container, and no others; between steps there is one for an id at most.

use twox_hash::XxHash64;

use super::message::ContainerKind;
use super::slot::{ContainerRow, Slot, State};
use crate::core::id::{ContainerId, SessionId};
use crate::core::sorted::{Map, Set};

/// The place of an assigned container among them: they stand in the order of their ids' hashes.
pub(super) type Place = (u64, ContainerId);

/// The containers on the books.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// Boxed, because the chunks of the map are seldom full.
    slots: Map<ContainerId, Box<Slot>>,
    /// The assigned ones. An id is kept with its container and nowhere else: it is found by its hash, without following a pointer for each
    /// comparison, and the container says whether it is the one.
    by_id: Set<Place>,
    /// How many of all certainly run, or did: those of which it is known what answers for them.
    known: usize,
}

fn hash_of(id: &SessionId) -> u64 {
    XxHash64::oneshot(0, id.as_str().as_bytes())
}

impl Books {
    /// The books with these containers on them.
    pub fn load(slots: impl Iterator<Item = Slot>) -> Self {
        let (mut by_id, mut known) = (Set::new(), 0);
        let enter = |slot: Slot| {
            by_id.extend(place_of(&slot.row));
            known += usize::from(slot.row.kind.is_some());
            (slot.row.container, Box::new(slot))
        };
        let slots = slots.map(enter).collect();
        Self { slots, by_id, known }
    }

    /// Puts a container on the books that is not there.
    pub fn put(&mut self, slot: Slot) {
        self.known += usize::from(slot.row.kind.is_some());
        self.by_id.extend(place_of(&slot.row));
        self.slots.insert(slot.row.container, Box::new(slot));
    }

    /// Takes a container off the books, which is not assigned any more.
    pub fn remove(&mut self, container: ContainerId) -> Option<Slot> {
        let slot = self.slots.remove(&container)?;
        self.known -= usize::from(slot.row.kind.is_some());
        Some(*slot)
    }

    pub fn get(&self, container: ContainerId) -> Option<&Slot> {
        self.slots.get(&container).map(|slot| &**slot)
    }

    /// To change its state, but not to or from [`State::Assigned`]; nor what answers for it.
    pub fn get_mut(&mut self, container: ContainerId) -> Option<&mut Slot> {
        self.slots.get_mut(&container).map(|slot| &mut **slot)
    }

    /// A container has started: this answers for it.
    pub fn know(&mut self, container: ContainerId, kind: ContainerKind) {
        if let Some(slot) = self.slots.get_mut(&container)
            && slot.row.kind.replace(kind).is_none()
        {
            self.known += 1;
        }
    }

    /// A container has this state from now on, which is [`State::Assigned`].
    pub fn assign(&mut self, container: ContainerId, state: State) {
        if let Some(slot) = self.slots.get_mut(&container) {
            slot.row.state = state;
            self.by_id.extend(place_of(&slot.row));
        }
    }

    /// A container is about to have another state than [`State::Assigned`]. Returns the id that has had it.
    pub fn unassign(&mut self, container: ContainerId) -> Option<SessionId> {
        let row = &self.slots.get(&container)?.row;
        self.by_id.remove(&place_of(row)?);
        row.state.assigned_to().cloned()
    }

    /// The container that is assigned to an id.
    pub fn of_id(&self, id: &SessionId) -> Option<&Slot> {
        let hash = hash_of(id);
        let mut place = (hash, ContainerId::BEFORE_ALL);
        loop {
            place = *self.by_id.following(&place).filter(|&&(same, _)| same == hash)?;
            if let Some(slot) = self.get(place.1).filter(|slot| slot.has(id)) {
                return Some(slot);
            }
        }
    }

    /// The next assigned containers after a place, at most so many, and the place where to go on; none when that was the last.
    pub fn assigned_after(&self, place: Option<Place>, size: usize) -> (Vec<ContainerId>, Option<Place>) {
        let page: Vec<Place> = self.by_id.after(place.as_ref()).take(size).copied().collect();
        // A page that is not full was the last one.
        let next = page.last().copied().filter(|_| page.len() == size);
        (page.into_iter().map(|(_, container)| container).collect(), next)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many are assigned.
    pub fn assigned(&self) -> usize {
        self.by_id.len()
    }

    /// How many certainly run, or did when they were heard of last.
    pub fn known(&self) -> usize {
        self.known
    }

    /// Every row, in the order of the containers' names.
    pub fn rows(&self) -> impl Iterator<Item = &ContainerRow> {
        self.slots.values().map(|slot| &slot.row)
    }
}

fn place_of(row: &ContainerRow) -> Option<Place> {
    row.state.assigned_to().map(|id| (hash_of(id), row.container))
}

#[cfg(test)]
mod tests {
    use super::super::message::SpecId;
    use super::*;
    use crate::config::resolved::Millis;
    use crate::core::id::Epoch;

    fn id(text: &str) -> SessionId {
        SessionId::try_from(text.to_owned()).unwrap()
    }

    fn slot(bits: u128, state: State) -> Slot {
        let container = ContainerId::from_random(bits);
        let row = ContainerRow { container, spec: SpecId(1), created: Millis(0), kind: None, state };
        Slot::new(row, Millis(0), Millis(0))
    }

    fn assigned(text: &str) -> State {
        State::Assigned { id: id(text), epoch: Epoch(1), since: Millis(0) }
    }

    #[test]
    fn an_id_is_found_while_it_is_assigned_whatever_shares_its_hash() {
        let mut books = Books::load([slot(1, assigned("a")), slot(2, State::Starting)].into_iter());
        let (first, second) = (ContainerId::from_random(1), ContainerId::from_random(2));
        books.assign(second, assigned("b"));
        // As if the hashes were the same.
        books.by_id.insert((hash_of(&id("a")), second));
        books.by_id.insert((hash_of(&id("b")), first));
        let of_id = |books: &Books, text| books.of_id(&id(text)).map(|slot| slot.row.container);
        assert_eq!((of_id(&books, "a"), of_id(&books, "b")), (Some(first), Some(second)));
        assert_eq!((books.unassign(first), of_id(&books, "c")), (Some(id("a")), None));
    }

    #[test]
    fn what_is_counted_goes_with_the_containers() {
        let mut books = Books::default();
        books.put(slot(1, State::Starting));
        books.put(slot(2, assigned("a")));
        let (first, second) = (ContainerId::from_random(1), ContainerId::from_random(2));
        books.know(first, ContainerKind::Agent);
        books.know(first, ContainerKind::Agent);
        assert_eq!((books.len(), books.assigned(), books.known()), (2, 1, 1));
        books.unassign(second);
        assert!(books.remove(first).is_some() && books.remove(first).is_none());
        assert_eq!((books.len(), books.assigned(), books.known()), (1, 0, 0));
    }

    #[test]
    fn pages_go_round_all_assigned_ones() {
        let mut books = Books::default();
        for n in 0..5 {
            books.put(slot(n, assigned(&format!("id-{n}"))));
        }
        let (first, place) = books.assigned_after(None, 3);
        let (rest, end) = books.assigned_after(place, 3);
        let all: Set<ContainerId> = first.iter().chain(&rest).copied().collect();
        assert_eq!((first.len(), rest.len(), all.len(), end), (3, 2, 5, None));
    }
}
