//! The supervisor process of one container and the messages it speaks
