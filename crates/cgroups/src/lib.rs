//! Control groups: limits, freezing, statistics, on v1, v2 and hybrid hosts
