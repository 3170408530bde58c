//! Safe wrappers around kernel facilities, one file each; the only unsafe code
