"""The fault lab: real packets between network namespaces, real faults, truth by what was done."""
