//! The worker's time for definitions of series, which all plugins of a VM share. How it is given out is
//! decided in [`DefinitionBudget`].

use std::cell::Cell;

use stats_core::record::definition_budget::DefinitionBudget;

thread_local! {
    static BUDGET: Cell<DefinitionBudget> = const { Cell::new(DefinitionBudget::new()) };
}

/// Does something with the worker's time.
pub fn change<T>(change: impl FnOnce(&mut DefinitionBudget) -> T) -> T {
    let mut budget = BUDGET.get();
    let result = change(&mut budget);
    BUDGET.set(budget);
    result
}
