"""Checks that take btkite apart while it trades: killed anywhere and started again.

Everything here runs on the simulated exchange in lock step. While the process is dead the market stands still,
so a run that was killed can be held against one that was not, bar by bar.

``boundaries`` the places at which a process can die → ``child`` a process that dies there → ``lives`` one market
day in one life or several → ``compare`` what came of it → ``crash`` every boundary of a scripted ``day``,
``restart`` a strategy of yours.
"""
