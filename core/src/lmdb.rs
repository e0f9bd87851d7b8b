//! The one call of heed that is unsafe: opening an environment.
