"""The charts that several sections have: forests of intervals, bands over steps, and a metric against cost.

A section gives typed data in the units of records; its axes scale them to what a person reads.
"""
