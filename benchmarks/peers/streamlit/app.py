"""Streamlit: a script that runs anew at each change, with an upload and a download."""

from __future__ import annotations

import io
import time

import streamlit as st
from job import make_report

if "watch" in st.query_params:
    with st.empty():
        while True:
            st.write(time.time())
            time.sleep(2)

if "count" not in st.session_state:
    st.session_state.count = 0
if st.button("Count"):
    st.session_state.count += 1
st.write(f"Count: {st.session_state.count}")

file = st.file_uploader("Workbook")
if file is not None and file.name.endswith(".xlsx"):
    bar = st.progress(0.0)
    report = io.BytesIO()
    make_report(file, report, lambda done, what: bar.progress(done / 100, text=what))
    st.download_button("Download", report.getvalue(), "report.xlsx")
