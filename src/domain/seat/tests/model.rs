//! Never two holds, never two sales: whatever is asked in whatever order, a seat is what a list of three answers says.
//!
//! The model knows who holds the seat, who bought it, and whether it is kept from sale.

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use super::*;
use crate::domain::Authority;
use crate::domain::testing::machine::{Machine, Said, asked};

const ORDERS: [&str; 3] = ["o1", "o2", "o3"];

#[derive(Clone, Debug, Default)]
struct Standing {
    holder: Option<OrderId>,
    buyer: Option<OrderId>,
    blocked: bool,
    /// Holds that began, and ends of holds.
    begun: usize,
    ended: usize,
    said: Option<Said>,
}

impl Standing {
    fn free(&self) -> bool {
        self.holder.is_none() && self.buyer.is_none() && !self.blocked
    }

    fn agrees(&self, command: &Command) -> bool {
        match command {
            Command::Hold { .. } | Command::Block => self.free(),
            Command::Unblock => self.blocked,
            Command::Sell { order_id, .. } => self.holder.as_ref() == Some(order_id),
            Command::Release { order_id, reason: ReleaseReason::Refunded } => self.buyer.as_ref() == Some(order_id),
            Command::Release { order_id, .. } => self.holder.as_ref() == Some(order_id),
        }
    }

    fn happens(&mut self, command: &Command) -> &'static str {
        self.ended += usize::from(self.holder.is_some());
        match command {
            Command::Hold { order_id } => {
                self.holder = Some(order_id.clone());
                self.begun += 1;
                "seat.held"
            }
            Command::Sell { .. } => {
                self.buyer = self.holder.take();
                "seat.sold"
            }
            Command::Release { .. } => {
                (self.holder, self.buyer) = (None, None);
                "seat.released"
            }
            Command::Block => {
                self.blocked = true;
                "seat.blocked"
            }
            Command::Unblock => {
                self.blocked = false;
                "seat.unblocked"
            }
        }
    }
}

struct Model;

impl ReferenceStateMachine for Model {
    type State = Standing;
    type Transition = Command;

    fn init_state() -> BoxedStrategy<Standing> {
        Just(Standing::default()).boxed()
    }

    fn transitions(_: &Standing) -> BoxedStrategy<Command> {
        use ReleaseReason::{Cancelled, Expired, Failed, Refunded};
        let id = || prop::sample::select(&ORDERS[..]);
        let reason = prop::sample::select(&[Cancelled, Expired, Failed, Refunded][..]);
        prop_oneof![
            3 => id().prop_map(hold),
            3 => id().prop_map(sell),
            4 => (id(), reason).prop_map(|(id, reason)| release(id, reason)),
            1 => Just(Command::Block),
            1 => Just(Command::Unblock),
        ]
        .boxed()
    }

    fn apply(mut standing: Standing, command: &Command) -> Standing {
        let agrees = standing.agrees(command);
        let said = if agrees { Said::happens(standing.happens(command)) } else { Said::Refuses(UNAVAILABLE) };
        Standing { said: Some(said), ..standing }
    }
}

impl StateMachineTest for Model {
    type SystemUnderTest = Machine<Seat>;
    type Reference = Self;

    fn init_test(_: &Standing) -> Machine<Seat> {
        Machine::default()
    }

    fn apply(mut seat: Machine<Seat>, standing: &Standing, command: Command) -> Machine<Seat> {
        let said = seat.tell(&command, &asked("order", Authority::Own, "k", "b", 0));
        assert_eq!(Some(&said), standing.said.as_ref(), "{command:?}");
        seat
    }

    fn check_invariants(seat: &Machine<Seat>, standing: &Standing) {
        let expected = match (&standing.holder, &standing.buyer, standing.blocked) {
            (None, None, false) => State::Available,
            (None, None, true) => State::Blocked,
            (Some(order_id), None, false) => State::Held { order_id: order_id.clone() },
            (None, Some(order_id), false) => State::Sold { order_id: order_id.clone() },
            both => panic!("a seat is one thing at a time: {both:?}"),
        };
        assert_eq!(seat.state, expected);
        assert_eq!(standing.begun, standing.ended + usize::from(standing.holder.is_some()), "a hold ends once");
        assert_eq!(Seat::deadline(&seat.state), None, "a seat has no clock");
        seat.check();
    }
}

prop_state_machine! {
    #[test]
    fn never_two_holds_nor_two_sales(sequential 1..60 => Model);
}
